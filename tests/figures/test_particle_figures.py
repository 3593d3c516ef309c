"""The picture of who serves which mode."""

import numpy as np
import pytest
import torch
from drawing import drawn, texts

from mixnash.core.errors import InvalidInputError
from mixnash.figures.particles import particle_modes


@pytest.mark.parametrize(("particles", "modes"), [(1, 1), (1, 25), (8, 8), (64, 25), (50, 100)])
def test_few_and_many_particles_are_drawn(particles, modes):
    found = torch.randint(0, 4, (particles, modes + 1), generator=torch.Generator().manual_seed(1))
    drawn(particle_modes(found, torch.eye(particles), "Particles"))


def test_cells_are_shares_of_rows_and_the_last_column_is_named():
    figure = particle_modes(np.array([[3, 1, 0], [0, 0, 2]]), np.array([[1.0, 0.25], [0.25, 0.0]]), "Particles")
    left, right, _ = figure.axes
    assert left.images[0].get_array()[0, 0] == pytest.approx(0.75)
    assert right.images[0].get_array()[0, -1] == pytest.approx(0.25)
    assert "none" in texts(figure)
    assert "share of the particle's samples; 33.3 % on none" in texts(figure)
    assert "overlap of particles; at most 0.25 off the diagonal" in texts(figure)


def test_impossible_inputs_are_refused_in_sentences(no_shape_checks):
    with pytest.raises(InvalidInputError, match="a column per mode and one for none"):
        particle_modes(torch.ones(2, 1), torch.eye(2), "")
    with pytest.raises(InvalidInputError, match=r"overlaps of particles of shape \[2, 2\], found \[3, 3\]"):
        particle_modes(torch.ones(2, 4), torch.eye(3), "")
    with pytest.raises(InvalidInputError, match=r"Overlaps of particles must lie in \[0, 1\], found 0 to 2"):
        particle_modes(torch.ones(2, 4), 2 * torch.eye(2), "")
