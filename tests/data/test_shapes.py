"""The Swiss roll has the law of scikit-learn's."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from sklearn.datasets import make_swiss_roll

from mixnash.core.errors import InvalidInputError
from mixnash.data.shapes import SwissRoll

COUNT = 100_000


@pytest.fixture(scope="module")
def ours():
    return SwissRoll(seed=3).training_draws(2, COUNT).double().numpy()


@pytest.fixture(scope="module")
def theirs():
    return make_swiss_roll(COUNT, noise=0.25, random_state=0)[0][:, [0, 2]] / 7.5


def off_the_curve(points):
    """Signed radial distance to the nearest turn of the spiral, in units before the division."""
    radius, angle = 7.5 * np.hypot(*points.T), np.arctan2(points[:, 1], points[:, 0])
    return (radius - angle + math.pi) % math.tau - math.pi


def test_moments_agree_with_scikit_learn(ours, theirs):
    # Standard error of a difference of means: sqrt(2 / COUNT) = 0.0045 per unit of standard deviation.
    assert ours.mean(axis=0) == pytest.approx(theirs.mean(axis=0), abs=0.015)
    assert np.cov(ours.T) == pytest.approx(np.cov(theirs.T), abs=0.015)


def test_marginals_and_radius_agree_with_scikit_learn(ours, theirs):
    # The Kolmogorov-Smirnov statistic of equal laws exceeds 1.95 sqrt(2 / COUNT) = 0.0087 once in a thousand samples.
    for measure in (lambda points: points[:, 0], lambda points: points[:, 1], lambda points: np.hypot(*points.T)):
        assert ks_2samp(measure(ours), measure(theirs)).statistic < 0.0087


def test_the_noise_agrees_with_scikit_learn(ours, theirs):
    assert off_the_curve(ours).std() == pytest.approx(off_the_curve(theirs).std(), rel=0.01)


def test_held_out_points_follow_the_same_law(theirs):
    held_out = SwissRoll(fixed_size=5).held_out(COUNT).numpy()
    assert ks_2samp(np.hypot(*held_out.T), np.hypot(*theirs.T)).statistic < 0.0087


def test_the_plot_box_holds_all_points(ours):
    xmin, xmax, ymin, ymax = SwissRoll().limits
    assert xmin < ours[:, 0].min() < ours[:, 0].max() < xmax
    assert ymin < ours[:, 1].min() < ours[:, 1].max() < ymax


def test_a_fixed_set_is_seen_once_per_epoch():
    data = SwissRoll(fixed_size=9)
    points = torch.cat([data.training_draws(step, 3) for step in range(6)])
    assert len(points[:9].unique(dim=0)) == 9
    assert torch.equal(points[:9].unique(dim=0), points[9:].unique(dim=0))
    assert not torch.equal(points[:9], points[9:])


def test_an_empty_fixed_set_is_refused():
    with pytest.raises(InvalidInputError, match="at least one point, found fixed_size=-1"):
        SwissRoll(fixed_size=-1)
