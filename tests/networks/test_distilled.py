"""The stairs of the distilled generator: flat bins, ramps of the promised width, continuity."""

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.population import stack
from mixnash.networks.base import parameters_of
from mixnash.networks.distilled import DistilledGenerator
from problems import DOUBLE, normal


def generator(bins=4, bridges=0.3):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        return DistilledGenerator([2], latent_dim=3, bins=bins, width=7, depth=2, bridges=bridges).double()


def latent(heights, z=(0.3, -0.8)):
    """Latents of equal z at heights u."""
    heights = torch.tensor(heights, dtype=DOUBLE)
    return torch.cat([torch.tensor(z, dtype=DOUBLE).expand(len(heights), 2), torch.special.ndtri(heights)[:, None]], 1)


def test_samples_are_constant_on_a_bin_and_differ_between_bins():
    # Edges 1/4, 1/2, 3/4; ramps of 0.1: flat on [0, 0.2], [0.3, 0.45], ...
    made = generator()(latent([0.001, 0.1, 0.1999, 0.3001, 0.4, 0.4499]))
    torch.testing.assert_close(made[:3], made[:1].expand(3, -1))
    torch.testing.assert_close(made[3:], made[3:4].expand(3, -1))
    assert float((made[0] - made[3]).detach().norm()) > 1e-3


def test_a_hand_computed_network_of_two_bins():
    network = DistilledGenerator([1], latent_dim=2, bins=2, width=1, depth=1, bridges=0.2).double()
    values = [[0.4], [[2.0, 10.0]], [0.5], [[3.0]], [-1.0]]  # edge, hidden layer of (z, stair), output layer
    for leaf, value in zip(network.parameters(), values, strict=True):
        leaf.data = torch.tensor(value, dtype=DOUBLE)
    heights = torch.special.ndtri(torch.tensor([0.1, 0.35, 0.4, 0.9], dtype=DOUBLE))
    made = network(torch.stack([torch.full_like(heights, 0.25), heights], 1)).flatten()
    # Stairs 0, 1/4, 1/2, 1; hidden 2 * 0.25 + 10 s + 0.5; times 3 minus 1.
    assert made.tolist() == pytest.approx([2.0, 9.5, 17.0, 32.0])


def test_the_share_on_bridges_is_the_promised_one():
    network = generator(bins=5, bridges=0.2)
    heights = (torch.arange(20_000, dtype=DOUBLE) + 0.5) / 20_000
    made = network(latent(heights.tolist()))
    moving = (made[1:] - made[:-1]).norm(dim=1) > 1e-9
    assert float(moving.double().mean()) == pytest.approx(0.2, abs=2e-3)


def test_edges_at_first_cut_the_latent_into_equal_bins():
    torch.testing.assert_close(generator(bins=5).edges.detach(), torch.tensor([0.2, 0.4, 0.6, 0.8], dtype=DOUBLE))


def test_each_particle_has_stairs_of_its_own():
    networks = [generator(), generator()]
    networks[1].edges.data = torch.tensor([0.1, 0.6, 0.9], dtype=DOUBLE)
    params = stack([parameters_of(one) for one in networks])
    inputs = normal(2, 50, 3)
    made = networks[0].stacked(params, inputs)
    expected = torch.stack([network(own) for network, own in zip(networks, inputs, strict=True)])
    torch.testing.assert_close(made, expected.detach())
    assert not torch.allclose(networks[0](inputs[1]), networks[1](inputs[1]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width and depth of at least 1, found 0 and 2"),
        ({"latent_dim": 1}, "at least 2 dimensions, one of them for its stairs, found 1"),
        ({"bins": 1}, "at least 2 bins, found 1"),
        ({"bridges": 0.0}, "between 0 and 1, found 0.0"),
    ],
)
def test_impossible_sizes_are_refused(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        DistilledGenerator([2], **({"latent_dim": 3, "bins": 4, "width": 5, "depth": 2} | changes))
