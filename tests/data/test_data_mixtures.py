"""Presets have the published numbers; mixtures are drawn with the weights asked for."""

import itertools
from collections import Counter

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.data.mixtures import PRESETS, CustomMixture, PresetMixture

DIAGONAL = 0.7071067811865476
CIRCLE = [(1, 0), (DIAGONAL, DIAGONAL), (0, 1), (-DIAGONAL, DIAGONAL)]
CIRCLE += [(-x, -y) for x, y in CIRCLE]

# Centres and standard deviation in the coordinates of the source; 2 / 2.828, 2 / 1.414, 0.05 / 2.828, 0.02 / 1.414.
PUBLISHED = {
    "pacgan-grid": (list(itertools.product([-4, -2, 0, 2, 4], repeat=2)), 0.05),
    "pacgan-ring": (CIRCLE, 0.01),
    "wgangp-grid": (
        list(itertools.product([-1.41442716, -0.70721358, 0, 0.70721358, 1.41442716], repeat=2)),
        0.017680339,
    ),
    "wgangp-ring": ([(1.41442716 * x, 1.41442716 * y) for x, y in CIRCLE], 0.014144272),
    "drs-grid": (list(itertools.product([-2, -1, 0, 1, 2], repeat=2)), 0.05),
    "grid-100": (list(itertools.product([place - 4.5 for place in range(10)], repeat=2)), 0.025),  # the project's own
}

CENTRES, SCALES, WEIGHTS = [[0.0, 1.0], [2.0, -1.0], [-3.0, 0.5]], [0.1, 0.3, 0.2], [1.0, 2.0, 5.0]


def nearest_modes(data, points):
    return torch.cdist(points, data.mixture.centres).argmin(dim=1)


def test_every_preset_is_compared_with_its_source():
    assert set(PRESETS) == set(PUBLISHED)


@pytest.mark.parametrize("preset", PUBLISHED)
def test_presets_have_the_published_centres_and_scales(preset):
    centres, scale = PUBLISHED[preset]
    mixture = PresetMixture(preset).mixture
    torch.testing.assert_close(mixture.centres, torch.tensor(centres, dtype=torch.float32), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(mixture.scales, torch.full((len(centres),), scale), rtol=1e-6, atol=0)
    torch.testing.assert_close(mixture.weights, torch.full((len(centres),), 1 / len(centres)))


def test_mode_weights_go_to_the_modes_in_the_documented_order():
    weights = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 12.0]
    mixture = PresetMixture("pacgan-ring", mode_weights=weights).mixture
    torch.testing.assert_close(mixture.weights, torch.tensor(weights) / 40)
    torch.testing.assert_close(mixture.centres[2], torch.tensor([0.0, 1.0]), atol=1e-6, rtol=0)


def test_training_points_follow_weights_and_scales():
    data = CustomMixture(CENTRES, SCALES, WEIGHTS, seed=1)
    points = data.training_draws(3, 80_000)
    modes = nearest_modes(data, points)
    for mode, (centre, scale, weight) in enumerate(zip(CENTRES, SCALES, WEIGHTS, strict=True)):
        cloud = points[modes == mode]
        assert len(cloud) / 80_000 == pytest.approx(weight / 8, abs=0.006)
        assert cloud.mean(dim=0).tolist() == pytest.approx(centre, abs=0.012)
        assert cloud.std(dim=0).tolist() == pytest.approx([scale, scale], rel=0.03)


def test_held_out_points_have_every_mode_at_its_expected_count():
    data = CustomMixture(CENTRES, SCALES, WEIGHTS, fixed_size=30)
    assert nearest_modes(data, data.held_out(800)).bincount().tolist() == [100, 200, 500]


@pytest.mark.parametrize("batch", [4, 25])
def test_a_fixed_set_is_seen_once_per_epoch_in_a_new_order(batch):
    data = CustomMixture(CENTRES, SCALES, WEIGHTS, fixed_size=11, seed=6)
    points = torch.cat([data.training_draws(step, batch) for step in range(11)]).tolist()
    epochs = [tuple(map(tuple, points[start : start + 11])) for start in range(0, len(points), 11)]
    assert len(epochs) == batch
    assert len(set(epochs[0])) == 11
    assert all(Counter(epoch) == Counter(epochs[0]) for epoch in epochs)
    assert len(set(epochs)) == len(epochs)


def test_fresh_points_never_come_again():
    data = CustomMixture(CENTRES, SCALES, WEIGHTS)
    points = torch.cat([data.training_draws(step, 100) for step in range(20)])
    assert len(points.unique(dim=0)) == 2_000


def test_the_plot_box_holds_all_points_with_room_to_spare():
    xmin, xmax, ymin, ymax = CustomMixture(CENTRES, SCALES, WEIGHTS).limits
    assert (xmin, xmax, ymin, ymax) == pytest.approx((-5.0, 4.0, -3.0, 3.0))


def test_an_unknown_preset_is_refused_with_the_list_of_presets():
    with pytest.raises(InvalidInputError, match="no mixture called 'grid': choose from pacgan-grid, pacgan-ring, wgan"):
        PresetMixture("grid")


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInputError, match="mixture of 8 modes needs as many weights, found 2"):
        PresetMixture("wgangp-ring", mode_weights=[1.0, 2.0])
    with pytest.raises(InvalidInputError, match="mixture of 3 modes needs as many weights, found 1"):
        CustomMixture(CENTRES, SCALES, [1.0])
    with pytest.raises(InvalidInputError, match="weights of a mixture must be positive, found 0"):
        CustomMixture(CENTRES, SCALES, [1.0, 0.0, 2.0])


def test_scales_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInputError, match="mixture of 3 modes needs as many scales, found 4"):
        CustomMixture(CENTRES, [0.1] * 4)
    with pytest.raises(InvalidInputError, match="scales of a mixture must be positive, found -1"):
        CustomMixture(CENTRES, [0.1, -1.0, 0.2])


@pytest.mark.parametrize("centres", [[], [[1.0, 2.0], [3.0]], [[1.0, 2.0, 3.0]]])
def test_centres_outside_the_plane_are_refused(centres):
    with pytest.raises(InvalidInputError, match="at least one centre, each of two coordinates"):
        CustomMixture(centres, [0.1] * len(centres))


def test_an_empty_fixed_set_is_refused():
    with pytest.raises(InvalidInputError, match="at least one point, found fixed_size=0"):
        PresetMixture(fixed_size=0)
