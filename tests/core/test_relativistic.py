"""The relativistic game against numbers by hand, its symmetries, and payoffs that bring their own anchors."""

import math

import pytest
import torch

from mixnash.core.feedback import feedback, feedback_reference
from mixnash.core.games.constraints import GradientPenalty, Unconstrained, WeightClipping
from mixnash.core.games.packed import PackedGame
from mixnash.core.games.relativistic import Relativistic
from mixnash.core.types import BOTH, CRITICS, NOBODY, Batch
from mixnash.lit.draws import StepDraws, paired
from problems import DOUBLE, normal, tanh_problem
from training import adam_dynamics, make_trainer, mixed_gan, ring


def softplus(x):
    return math.log1p(math.exp(x))


class Identity:
    """A critic whose scores are its samples."""

    def __call__(self, samples):
        return samples

    def input_gradient(self, samples):
        return torch.ones_like(samples)


def terms(anchor, fake):
    return Relativistic().terms(lambda latent: latent, Identity(), Batch(anchor[..., :1], fake, anchor, fake))


def test_each_generated_sample_is_compared_with_its_own_anchor():
    got = terms(torch.tensor([0.5, -1.0, 3.0], dtype=DOUBLE), torch.tensor([2.0, -3.0, 2.5], dtype=DOUBLE))
    leads = [-1.5, 2.0, 0.5]
    value = -sum(softplus(-lead) for lead in leads) / 3
    assert float(got.value) == pytest.approx(value, abs=1e-12)
    assert float(got.critic_loss) == pytest.approx(-value, abs=1e-12)
    assert float(got.generator_loss) == pytest.approx(sum(softplus(lead) for lead in leads) / 3, abs=1e-12)


def test_all_pairs_at_once_are_compared_pair_by_pair():
    anchor, fake = normal(4, 3, 5), normal(4, 3, 5, key=1)  # scores [L, K, b]
    together = terms(anchor, fake)
    for l in range(4):  # noqa: E741
        for k in range(3):
            torch.testing.assert_close([one[l, k] for one in together], list(terms(anchor[l, k], fake[l, k])))


def test_far_scores_neither_overflow_nor_lose_the_gradient_of_the_loser():
    lead = torch.tensor([-2e3, 2e3], dtype=DOUBLE, requires_grad=True)
    got = terms(lead, torch.zeros(2, dtype=DOUBLE))
    assert float(got.value.detach()) == pytest.approx(-1e3)
    assert float(got.generator_loss.detach()) == pytest.approx(1e3)
    (slope,) = torch.autograd.grad(got.value, lead)
    torch.testing.assert_close(slope, torch.tensor([0.5, 0.0], dtype=DOUBLE))


def test_flat_critics_are_worth_minus_the_logarithm_of_two_and_no_critic_is_worth_more_than_nothing():
    problem = tanh_problem(3, 4)
    flat = {name: torch.zeros_like(leaf) for name, leaf in problem.profile.critics.params.items()}
    at_flat = problem.profile._replace(critics=problem.profile.critics._replace(params=flat))
    values = feedback(Relativistic(), problem.networks, at_flat, problem.batch, NOBODY).values
    torch.testing.assert_close(values, torch.full((3, 4), -math.log(2), dtype=DOUBLE))
    assert bool((feedback(Relativistic(), *problem, NOBODY).values < 0).all())
    assert Relativistic().bounded_above
    assert Relativistic(WeightClipping(0.1)).bounded_above


@pytest.mark.parametrize("evaluate", [feedback, feedback_reference])
def test_a_constant_added_to_the_critics_changes_nothing(evaluate):
    problem = tanh_problem(2, 3)
    lifted = {name: leaf + 5.0 if name == "b.bias" else leaf for name, leaf in problem.profile.critics.params.items()}
    moved = problem.profile._replace(critics=problem.profile.critics._replace(params=lifted))
    one, other = (
        evaluate(Relativistic(), problem.networks, profile, problem.batch, BOTH) for profile in (problem.profile, moved)
    )
    torch.testing.assert_close(one, other)
    assert float(one.critic_grads["b.bias"].abs().max()) < 1e-14


def test_real_samples_count_by_their_anchors_alone():
    problem = tanh_problem(2, 3)
    other = problem.batch._replace(real=problem.batch.real + 1)
    assert torch.equal(
        feedback(Relativistic(Unconstrained()), *problem, CRITICS).values,
        feedback(Relativistic(Unconstrained()), problem.networks, problem.profile, other, CRITICS).values,
    )


def test_packs_of_anchors_are_compared_with_packs_of_generated_samples():
    game, problem = PackedGame(Relativistic(GradientPenalty(2.0)), 2), tanh_problem(2, 3, packing=2)
    one, other = (evaluate(game, *problem, BOTH) for evaluate in (feedback, feedback_reference))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_pairing_uses_every_real_sample_and_spreads_those_of_each_generator():
    real = torch.arange(12.0).unsqueeze(-1)
    anchor = paired(real, 2, 3)
    assert anchor.shape == (2, 3, 1)
    assert anchor.squeeze(-1).tolist() == [[0.0, 4.0, 8.0], [2.0, 6.0, 10.0]]
    assert sorted(paired(real, 3, 8).flatten().tolist()) == sorted([*range(12), *range(12)])


def test_evaluation_without_gradients_brings_anchors_and_gives_the_payoff_of_a_batch_of_the_same_draws():
    module, real = mixed_gan(adam_dynamics(), game=Relativistic()), ring().held_out(20)
    draws = StepDraws(real.unsqueeze(0), 5, 0, 3, 3, 7, 7)(BOTH)
    profile = module.profile(averaged=False)
    expected = feedback(module.game, module.networks, profile, draws, NOBODY).values
    torch.testing.assert_close(module.payoffs(real, draws.latent, averaged=False), expected, rtol=0, atol=0)
    assert expected.shape == (3, 2)


def test_a_population_trains_on_the_relativistic_game(tmp_path):
    module = mixed_gan(adam_dynamics(2), game=Relativistic())
    before = {name: leaf.clone() for name, leaf in module.generators.population().params.items()}
    make_trainer(tmp_path, 3).fit(module, datamodule=ring())
    after = module.generators.population().params
    assert all(bool((after[name] != leaf).any()) for name, leaf in before.items())
    assert all(bool(torch.isfinite(leaf).all()) for leaf in after.values())
