"""Who serves which mode: histograms and overlaps by hand."""

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.mixtures import make_mixture
from mixnash.metrics.functional.particles import overlap_matrix, particle_histogram, particle_scores, particle_shares
from mixnash.metrics.particles import ParticleModes

MIXTURE = make_mixture(torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]), torch.tensor([1.0, 0.5, 0.25]))
POINTS = torch.tensor([[0.5, 0.0], [10.0, 0.4], [0.0, 10.1], [5.0, 5.0], [0.0, 0.0], [torch.nan, 0.0], [10.0, 0.0]])
PARTICLE = torch.tensor([0, 0, 2, 2, 2, 0, 2])
HISTOGRAM = [[1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]]


def test_the_last_column_counts_samples_on_no_mode():
    assert particle_histogram(POINTS, PARTICLE, MIXTURE, 2.0, 3).tolist() == HISTOGRAM


def test_particles_out_of_range_are_refused():
    with pytest.raises(InvalidInputError, match="particles from 0 to 1"):
        particle_histogram(POINTS, PARTICLE, MIXTURE, 2.0, 2)
    with pytest.raises(InvalidInputError, match="particles from 0 to 2"):
        particle_histogram(POINTS, PARTICLE - 1, MIXTURE, 2.0, 3)


def test_overlap_is_what_two_particles_have_in_common_on_modes_alone():
    histogram = torch.tensor([[6, 2, 0, 2], [0, 0, 0, 0], [1, 1, 1, 1]])
    # shares 0.6 0.2 0 | 0.2 and 0.25 0.25 0.25 | 0.25
    expected = [[0.8, 0.0, 0.45], [0.0, 0.0, 0.0], [0.45, 0.0, 0.75]]
    torch.testing.assert_close(overlap_matrix(histogram), torch.tensor(expected, dtype=torch.float64))
    assert particle_shares(histogram).sum(1).tolist() == pytest.approx([1, 0, 1])


def test_scores_by_hand():
    histogram = torch.tensor([[60, 20, 0, 20], [0, 0, 99, 1], [25, 25, 0, 50]])
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    scores = particle_scores(histogram, weights)
    # only particles 0 and 2 overlap: 0.25 + 0.2; pairs: 2 (0.15 + 0.1 + 0.06) = 0.62
    assert float(scores["particle_overlap"]) == pytest.approx(2 * 0.1 * 0.45 / 0.62)
    assert float(scores["modes_per_particle"]) == pytest.approx(0.5 * 2 + 0.3 * 1 + 0.2 * 2)
    assert float(scores["particles_alone"]) == pytest.approx(1 / 3)


def test_a_few_strays_neither_serve_a_mode_nor_spoil_ownership():
    histogram = torch.tensor([[995, 5, 0], [5, 995, 0]])
    scores = particle_scores(histogram, torch.tensor([0.5, 0.5]))
    assert float(scores["modes_per_particle"]) == pytest.approx(1)
    assert float(scores["particles_alone"]) == 1


def test_a_single_particle_overlaps_with_nobody():
    scores = particle_scores(torch.tensor([[5, 5, 0]]), torch.ones(1))
    assert {name: float(score) for name, score in scores.items()} == {
        "particle_overlap": 0.0,
        "modes_per_particle": 2.0,
        "particles_alone": 1.0,
    }


def test_the_metric_accumulates_the_histogram():
    metric = ParticleModes(MIXTURE, torch.tensor([0.5, 0.2, 0.3]), 2.0)
    metric.update(POINTS[:3], PARTICLE[:3])
    metric.update(POINTS[3:], PARTICLE[3:])
    assert metric.histogram.tolist() == HISTOGRAM
    expected = particle_scores(torch.tensor(HISTOGRAM), torch.tensor([0.5, 0.2, 0.3]))
    assert {k: float(v) for k, v in metric.compute().items()} == {k: float(v) for k, v in expected.items()}


def test_weights_of_other_particles_are_refused(no_shape_checks):
    with pytest.raises(InvalidInputError, match="found 2 weights for 3 particles"):
        particle_scores(torch.tensor(HISTOGRAM), torch.tensor([0.5, 0.5]))
