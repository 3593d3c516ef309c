"""Mixtures in many dimensions: separated centres that only their own seed decides, and their projection."""

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.mixtures import make_mixture
from mixnash.data.mixtures_nd import RandomMixture
from mixnash.data.projection import principal_plane, projected


def test_centres_are_in_the_cube_and_apart():
    mixture = RandomMixture(5, 20, half_width=1.5, separation=1.2).mixture
    assert mixture.centres.shape == (20, 5)
    assert float(mixture.centres.abs().max()) <= 1.5
    assert float(torch.pdist(mixture.centres).min()) >= 1.2
    assert float(torch.pdist(RandomMixture(5, 20, half_width=1.5, separation=0.0).mixture.centres).min()) < 1.2


def test_the_seed_of_a_run_does_not_move_the_centres_but_the_layout_seed_does():
    one, other, elsewhere = RandomMixture(seed=1), RandomMixture(seed=2), RandomMixture(layout_seed=1)
    assert torch.equal(one.mixture.centres, other.mixture.centres)
    assert not torch.equal(one.training_draws(0, 5), other.training_draws(0, 5))
    assert not torch.equal(one.mixture.centres, elsewhere.mixture.centres)


def test_the_default_layout_never_changes():
    centres = RandomMixture().mixture.centres
    assert centres[0, :3].tolist() == pytest.approx([-0.3865, 1.3495, -1.5683], abs=1e-4)
    assert float(torch.pdist(centres).min()) == pytest.approx(2.0044, abs=1e-3)


def test_points_surround_their_centres_with_the_scale():
    data = RandomMixture(4, 3, scale=0.07, separation=1.0)
    points = data.training_draws(0, 30_000)
    mode = torch.cdist(points, data.mixture.centres).argmin(1)
    assert mode.bincount().tolist() == pytest.approx([10_000] * 3, rel=0.03)
    assert (points - data.mixture.centres[mode]).std(dim=0).tolist() == pytest.approx([0.07] * 4, rel=0.03)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dimensions": 2}, "at least 3 dimensions, found 2; use CustomMixture"),
        ({"modes": 0}, "at least 1 mode, found 0"),
        ({"half_width": 0.0}, "must be positive, found half_width=0"),
        ({"separation": -1.0}, "at least 0, found -1"),
        ({"scale": 0.0}, "scales of a mixture must be positive"),
        ({"dimensions": 3, "modes": 500}, r"Only \d+ of 500 modes fit into the cube of half side 2.0 at least 2.0"),
    ],
)
def test_impossible_mixtures_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        RandomMixture(**arguments)


def test_the_principal_plane_holds_the_axes_along_which_centres_vary_most():
    centres = torch.tensor([[0.0, 3.0, 1.0, 5.0], [0.0, -3.0, 1.0, 5.0], [1.0, 0.0, 1.0, 5.0], [-1.0, 0.0, 1.0, 5.0]])
    mixture = make_mixture(centres, torch.full((4,), 0.1))
    plane = principal_plane(mixture)
    expected = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(plane, expected, rtol=0, atol=1e-6)
    shown = projected(mixture, plane)
    assert shown.centres.flatten().tolist() == pytest.approx([3, 0, -3, 0, 0, 1, 0, -1], abs=1e-6)
    assert torch.equal(shown.scales, mixture.scales)


def test_a_single_mode_has_a_plane_too():
    plane = principal_plane(make_mixture(torch.ones(1, 5), torch.ones(1)))
    torch.testing.assert_close(plane.T @ plane, torch.eye(2))
