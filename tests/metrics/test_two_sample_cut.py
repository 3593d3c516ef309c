"""Cutting samples and references to a size that a costly metric can bear."""

import torch

from mixnash.core.mixtures import make_mixture, sample_mixture, sample_stratified
from mixnash.metrics.functional.mmd import unbiased_mmd_squared
from mixnash.metrics.mmd import MaximumMeanDiscrepancy
from mixnash.metrics.transport import Wasserstein2
from mixnash.metrics.two_sample import cut

MIXTURE = make_mixture(
    torch.tensor([[0.0, 0.0], [50.0, 0.0], [0.0, 80.0]]), torch.full((3,), 0.1), torch.tensor([5.0, 3.0, 2.0])
)


def _rng(seed=0):
    return torch.Generator().manual_seed(seed)


def _shares(points):
    return torch.cdist(points, MIXTURE.centres).argmin(1).bincount(minlength=3).tolist()


def test_an_even_cut_of_a_stratified_reference_is_stratified_in_the_same_shares():
    reference = sample_stratified(MIXTURE, 1000, _rng())
    _, kept = cut(reference, reference, 100, 100, seed=3)
    assert _shares(kept) == [50, 30, 20]


def test_the_cut_of_samples_is_a_random_choice_without_repeats_that_the_seed_decides():
    samples = torch.arange(40.0).reshape(20, 2)
    first, _ = cut(samples, samples, 7, 7, seed=1)
    again, _ = cut(samples, samples, 7, 7, seed=1)
    other, _ = cut(samples, samples, 7, 7, seed=2)
    assert first.shape == (7, 2)
    assert len(first.unique(dim=0)) == 7
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, samples[:7])


def test_wasserstein2_of_many_samples_against_a_stratified_reference_is_lower_than_against_a_random_one():
    samples = sample_stratified(MIXTURE, 400, _rng(1))[torch.randperm(400, generator=_rng(2))]
    stratified, independent = Wasserstein2(limit=400), Wasserstein2(limit=400)
    stratified.update(samples, sample_stratified(MIXTURE, 4000, _rng(3)))
    independent.update(samples, sample_mixture(MIXTURE, 4000, _rng(4)))
    # Equal mode counts leave the distance within modes, of the order of their scale 0.1; unequal ones cost jumps of 50.
    assert stratified.compute()["wasserstein2"] < 0.1
    assert independent.compute()["wasserstein2"] > 1.0


def test_mmd_compares_no_more_than_its_limit():
    samples, reference = torch.randn(50, 2, generator=_rng()), torch.randn(70, 2, generator=_rng(1)) + 1
    metric = MaximumMeanDiscrepancy([0.7, 2.0], limit=20, seed=5)
    metric.update(samples, reference)
    expected = unbiased_mmd_squared(*cut(samples, reference, 20, 20, 5), (0.7, 2.0))
    assert metric.compute()["mmd_squared"] == expected
    assert expected != unbiased_mmd_squared(samples, reference, (0.7, 2.0))
