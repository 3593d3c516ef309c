"""Lazy penalties: n times at every n-th step of training, once where nobody trains."""

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import feedback, feedback_reference, regularised_payoffs
from mixnash.core.games.constraints import (
    GradientPenalty,
    LazyPenalty,
    SpectralNormalization,
    Unconstrained,
    WeightClipping,
    ZeroCentredPenalty,
)
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.packed import PackedGame
from mixnash.core.tree import flatten
from mixnash.core.types import BOTH, CRITICS
from mixnash.lit.draws import StepDraws
from plugins import CONSTRAINTS, make, over
from problems import normal, tanh_problem
from training import adam_dynamics, make_trainer, mixed_gan, ring

EVALUATIONS = pytest.mark.parametrize("evaluate", [feedback, feedback_reference])
INNER = ZeroCentredPenalty(2.0, 3.0)


def at_step(problem, step):
    return problem._replace(batch=problem.batch._replace(step=step))


def penalty(constraint, problem, evaluate=feedback):
    """What the critics pay and its gradient, flat."""
    charged, free = (evaluate(Hinge(one), *problem, CRITICS) for one in (constraint, Unconstrained()))
    grads = {name: leaf - free.critic_grads[name] for name, leaf in charged.critic_grads.items()}
    return flatten({"losses": charged.critic_losses - free.critic_losses, "grads": grads})


@EVALUATIONS
@pytest.mark.parametrize(("step", "times"), [(0, 3), (1, 0), (2, 0), (3, 3), (4, 0), (6, 3), (None, 1)])
def test_the_penalty_is_charged_n_times_at_every_nth_step_and_once_outside_of_training(step, times, evaluate):
    problem = at_step(tanh_problem(2, 3), step)
    once = penalty(INNER, problem, evaluate)
    assert float(once["losses"].min()) > 0.1
    got = penalty(LazyPenalty(INNER, 3), problem, evaluate)
    torch.testing.assert_close(got, {name: times * leaf for name, leaf in once.items()}, rtol=1e-12, atol=1e-13)


def test_the_mean_over_a_period_is_the_inner_penalty():
    problem = tanh_problem(2, 3)
    steps = [penalty(LazyPenalty(INNER, 5), at_step(problem, step)) for step in range(15)]
    for name, leaf in penalty(INNER, problem).items():
        torch.testing.assert_close(sum(one[name] for one in steps) / 15, leaf)


@pytest.mark.parametrize("step", [0, 1])
def test_all_pairs_at_once_equal_the_double_loop_on_packs_too(step):
    game, problem = PackedGame(Hinge(LazyPenalty(INNER, 2)), 2), at_step(tanh_problem(3, 4, packing=2), step)
    one, other = (evaluate(game, *problem, BOTH) for evaluate in (feedback, feedback_reference))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    free = feedback(PackedGame(Hinge(), 2), *problem, BOTH)
    assert bool((one.critic_losses > free.critic_losses + 0.1).all()) == (step == 0)


def test_no_slope_is_computed_between_penalties():
    problem, calls = tanh_problem(2, 3), []

    def recorded(params, inputs):
        calls.append(inputs)
        return torch.zeros_like(inputs) * params["a.bias"].sum()

    networks = problem.networks._replace(critic=problem.networks.critic._replace(input_gradient=recorded))
    game = Hinge(LazyPenalty(GradientPenalty(1.0), 4))
    for step in range(1, 4):
        feedback(game, networks, problem.profile, problem.batch._replace(step=step), CRITICS)
    assert not calls
    feedback(game, networks, problem.profile, problem.batch._replace(step=4), CRITICS)
    assert len(calls) == 1


def test_payoffs_that_penalties_are_taken_from_see_the_inner_penalty():
    problem = tanh_problem(2, 3)
    torch.testing.assert_close(
        regularised_payoffs(Hinge(LazyPenalty(INNER, 7)), *problem), regularised_payoffs(Hinge(INNER), *problem)
    )


@over("inner", [kind for kind in CONSTRAINTS if kind is not LazyPenalty])
def test_everything_but_the_penalty_is_the_inner_constraints_at_every_step(inner):
    constraint = make(CONSTRAINTS, inner)
    lazy, params = LazyPenalty(constraint, 3), {"w": 2 * normal(2, 3, 4), "b": normal(2, 3)}
    assert lazy.bounds_slopes == constraint.bounds_slopes
    for own, expected in ((lazy.project, constraint.project), (lazy.reparametrise, constraint.reparametrise)):
        assert all(torch.equal(leaf, expected(params)[name]) for name, leaf in own(params).items())


@pytest.mark.parametrize("inner", [WeightClipping(0.1), SpectralNormalization(2)])
@pytest.mark.parametrize("step", [None, 0, 1])
def test_where_there_is_no_penalty_there_is_none_n_times(inner, step):
    problem = tanh_problem(2, 3)
    charged = feedback(Hinge(LazyPenalty(inner, 2)), *at_step(problem, step), CRITICS)
    assert torch.equal(charged.critic_losses, feedback(Hinge(inner), *problem, CRITICS).critic_losses)


def test_draws_of_training_know_their_step_and_others_do_not():
    def draws(**more):
        return StepDraws(torch.zeros(1, 4, 2), 1, 6, 3, 2, 2, 2, **more)(BOTH)

    assert draws().step is None
    batch = draws(training=True)
    assert batch.step == batch.pair(1).step == batch.for_generators(5).step == 6


def test_training_is_penalised_at_the_steps_it_counts(tmp_path):
    """An interval of 1 is no change; a longer one is, at once, and is a stronger penalty at the first step."""

    def trained(constraint, steps):
        module = mixed_gan(adam_dynamics(), game=Hinge(constraint))
        make_trainer(tmp_path, steps).fit(module, datamodule=ring())
        return flatten(module.critics.population().params)

    for interval, steps, equal in ((4, 1, False), (4, 5, False), (1, 5, True)):
        lazy, plain = trained(LazyPenalty(INNER, interval), steps), trained(INNER, steps)
        assert all(torch.equal(leaf, plain[name]) for name, leaf in lazy.items()) == equal
    lazy, strong = trained(LazyPenalty(INNER, 4), 1), trained(ZeroCentredPenalty(8.0, 12.0), 1)
    for name, leaf in lazy.items():
        torch.testing.assert_close(leaf, strong[name], rtol=1e-4, atol=1e-6)


def test_intervals_below_one_step_are_refused():
    with pytest.raises(InvalidInputError, match="interval of a lazy penalty must be at least 1 step, found 0"):
        LazyPenalty(INNER, 0)
