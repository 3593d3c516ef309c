"""Constraints of critics against closed forms: clipping, gradient penalties on linear critics, singular values."""

import math

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import feedback
from mixnash.core.games.constraints import GradientPenalty, SpectralNormalization, Unconstrained, WeightClipping
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.vectors import VECTOR, VECTOR_NETWORKS
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.population import make_population
from mixnash.core.types import BOTH, CRITICS, GENERATORS, Batch, NetworkFunctions, Networks, Player, Profile
from plugins import ADVERSARIAL_GAMES, CONSTRAINTS, make
from problems import DOUBLE, gan_batch, normal, tanh_problem, vectors

SLOPES = [[3.0, -4.0], [0.6, 0.0], [0.0, 0.0]]
"""Three linear critics, of slopes 5, 0.6 and 0."""


def critic_feedback(constraint, networks=VECTOR_NETWORKS, slopes=SLOPES):
    profile = Profile(vectors([1.0, 2.0], [-1.0, 0.5], weights=[0.3, 0.7]), vectors(*slopes))
    batch = gan_batch(2, (2,))
    penalised = feedback(Wasserstein(constraint), networks, profile, batch, CRITICS)
    free = feedback(Wasserstein(Unconstrained()), networks, profile, batch, CRITICS)
    return penalised.critic_losses - free.critic_losses, penalised.critic_grads[VECTOR] - free.critic_grads[VECTOR]


@pytest.mark.parametrize(
    ("target", "one_sided", "excess"),
    [
        (0.9, False, [4.1, -0.3, -0.9]),
        (0.9, True, [4.1, 0.0, 0.0]),
        (0.0, False, [5.0, 0.6, 0.0]),
        (0.5, True, [4.5, 0.1, 0.0]),
    ],
)
def test_gradient_penalty_of_a_linear_critic_is_the_squared_excess_of_its_slope(target, one_sided, excess):
    weight = 2.5
    penalties, grads = critic_feedback(GradientPenalty(weight, target, one_sided))
    torch.testing.assert_close(penalties, weight * torch.tensor(excess, dtype=DOUBLE).square(), atol=1e-11, rtol=0)
    # d/dw (|w| - c)^2 = 2 (|w| - c) w / |w|; nothing, and not NaN, at w = 0
    directions = torch.tensor([[0.6, -0.8], [1.0, 0.0], [0.0, 0.0]], dtype=DOUBLE)
    expected = 2 * weight * torch.tensor(excess, dtype=DOUBLE).unsqueeze(-1) * directions
    torch.testing.assert_close(grads, expected, atol=1e-11, rtol=0)


def quadratic(params, samples):
    """d(s) = a |s|^2 / 2 with the first coordinate of the vector as a: the slope at s is a |s|."""
    return params[VECTOR][..., :1] * samples.square().sum(-1) / 2


def test_gradient_penalty_is_taken_on_the_line_from_the_real_sample_to_the_generated_one():
    networks = Networks(VECTOR_NETWORKS.generator, NetworkFunctions(quadratic, quadratic))
    penalties, _ = critic_feedback(GradientPenalty(2.0, 0.7), networks, [[1.5, 0.0]])
    batch, points = gan_batch(2, (2,)), torch.tensor([[1.0, 2.0], [-1.0, 0.5]], dtype=DOUBLE)
    expected = 0.0
    for k, p in ((0, 0.3), (1, 0.7)):
        for i in range(5):
            u = float(batch.mix[k, i])
            middle = [(1 - u) * float(batch.anchor[k, i, j]) + u * float(points[k, j]) for j in range(2)]
            expected += p / 5 * 2.0 * (1.5 * math.hypot(*middle) - 0.7) ** 2
    assert float(penalties) == pytest.approx(expected, rel=1e-12)


def test_gradient_penalty_of_a_critic_on_images_sums_over_all_pixels():
    problem = tanh_problem(2, 1, (1, 4, 4))
    weight = problem.profile.critics.params["a.weight"]

    def linear(params, samples):
        return (samples.flatten(-3) * params["a.weight"][..., :1, :]).sum(-1)

    networks = Networks(problem.networks.generator, NetworkFunctions(linear, linear))
    game = Wasserstein(GradientPenalty(1.5, 0.2))
    with_penalty = feedback(game, networks, problem.profile, problem.batch, CRITICS).critic_losses
    free = feedback(Wasserstein(Unconstrained()), networks, problem.profile, problem.batch, CRITICS).critic_losses
    expected = 1.5 * (float(weight[0, 0].square().sum().sqrt()) - 0.2) ** 2
    assert float(with_penalty - free) == pytest.approx(expected, rel=1e-10)


def test_a_critic_of_zeros_has_finite_gradients_in_single_precision():
    profile = Profile(make_population({VECTOR: torch.ones(1, 2)}), make_population({VECTOR: torch.zeros(2, 2)}))
    batch = Batch(*(draws.float() for draws in gan_batch(1, (2,))[:4]))
    seen = feedback(Hinge(GradientPenalty(10.0)), VECTOR_NETWORKS, profile, batch, BOTH)
    assert bool(torch.isfinite(seen.critic_grads[VECTOR]).all())
    torch.testing.assert_close(seen.critic_losses, torch.full((2,), 12.0))  # hinges 1 + 1, penalty 10 (0 - 1)^2


@pytest.mark.parametrize("kind", ADVERSARIAL_GAMES)
def test_the_generator_never_sees_the_penalty(kind):
    problem = tanh_problem()
    free, penalised = (
        feedback(make(ADVERSARIAL_GAMES, kind, one), *problem, BOTH) for one in (Unconstrained(), GradientPenalty(5.0))
    )
    torch.testing.assert_close(free.generator_grads, penalised.generator_grads, rtol=0, atol=1e-14)
    torch.testing.assert_close(free.values, penalised.values, rtol=0, atol=1e-14)
    torch.testing.assert_close(free.generator_losses, penalised.generator_losses, rtol=0, atol=1e-14)
    assert bool((penalised.critic_losses > free.critic_losses).all())
    alone = feedback(make(ADVERSARIAL_GAMES, kind, GradientPenalty(5.0)), *problem, GENERATORS)
    torch.testing.assert_close(alone.critic_losses, free.critic_losses)


def test_clipping_moves_each_entry_to_the_nearest_bound():
    clipped = WeightClipping(0.3).project({"a": torch.tensor([[-1.0, 0.2, 0.3], [0.31, -0.29, 0.0]])})
    torch.testing.assert_close(clipped["a"], torch.tensor([[-0.3, 0.2, 0.3], [0.3, -0.29, 0.0]]))


@pytest.mark.parametrize("kind", ADVERSARIAL_GAMES)
def test_games_project_critics_by_their_constraint_and_leave_generators_alone(kind):
    params = {"a": torch.tensor([[2.0, -0.1]])}
    game = make(ADVERSARIAL_GAMES, kind, WeightClipping(0.5))
    assert torch.equal(game.project(Player.CRITIC, params)["a"], torch.tensor([[0.5, -0.1]]))
    assert torch.equal(game.project(Player.GENERATOR, params)["a"], params["a"])


@pytest.mark.parametrize("kind", CONSTRAINTS)
def test_projecting_twice_changes_nothing_more(kind):
    constraint, params = make(CONSTRAINTS, kind), {"w": normal(2, 3, 4), "b": normal(2, 3)}
    once = constraint.project(params)
    twice = constraint.project(once)
    assert all(torch.equal(once[name], twice[name]) for name in params)


# ---------------------------------------------------------------------- spectral normalisation

SHAPES = [(3, 5, 8), (3, 8, 5), (2, 1, 7), (2, 7, 1), (3, 4, 2, 3, 3), (1, 6, 3, 2, 2)]


def normalised(weight, iterations):
    return SpectralNormalization(iterations).reparametrise({"w": weight})["w"]


@pytest.mark.parametrize("shape", SHAPES)
def test_spectral_normalisation_makes_the_largest_singular_value_one(shape):
    weight = 3.7 * normal(*shape)
    got = normalised(weight, 500)
    largest = torch.linalg.svdvals(got.flatten(2)).amax(-1)
    torch.testing.assert_close(largest, torch.ones(shape[0], dtype=DOUBLE), rtol=0, atol=1e-6)
    # ... by scaling each matrix of the stack on its own
    sigma = torch.linalg.svdvals(weight.flatten(2)).amax(-1)
    for one, raw, scale in zip(got, weight, sigma, strict=True):
        torch.testing.assert_close(one, raw / scale, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("shape", [(20, 64, 64), (20, 128, 128), (20, 128, 2), (20, 64, 32, 3, 3)])
def test_ten_iterations_estimate_the_largest_singular_value_from_below_within_a_few_per_cent(shape):
    largest = torch.linalg.svdvals(normalised(normal(*shape), 10).flatten(2)).amax(-1)
    assert float(largest.min()) >= 1 - 1e-12
    assert float(largest.mean()) < 1.05
    assert float(largest.max()) < 1.1


def test_spectral_normalisation_of_a_stack_equals_that_of_each_matrix_alone():
    weight = normal(3, 4, 6) * torch.tensor([1.0, 10.0, 0.1], dtype=DOUBLE).reshape(3, 1, 1)
    torch.testing.assert_close(normalised(weight, 3), torch.cat([normalised(one, 3) for one in weight.split(1)]))


@pytest.mark.parametrize("shape", SHAPES)
def test_spectral_normalisation_has_the_gradient_of_division_by_the_exact_singular_value(shape):
    weight, direction = normal(*shape).requires_grad_(), normal(*shape, key=1)
    exact = weight / torch.linalg.matrix_norm(weight.flatten(2), ord=2).reshape(-1, *[1] * (len(shape) - 1))
    (expected,) = torch.autograd.grad((exact * direction).sum(), weight)
    (got,) = torch.autograd.grad((normalised(weight, 500) * direction).sum(), weight)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_spectral_normalisation_knows_biases_by_their_axes_and_leaves_its_input_unchanged():
    params = {"b.weight": normal(2, 3, 4), "a.weight": normal(2, 3)}
    before = {name: leaf.clone() for name, leaf in params.items()}
    got = SpectralNormalization(2).reparametrise(params)
    assert torch.equal(got["a.weight"], before["a.weight"])
    torch.testing.assert_close(got["b.weight"], normalised(before["b.weight"], 2))
    assert not torch.allclose(got["b.weight"], before["b.weight"])
    assert all(torch.equal(params[name], leaf) for name, leaf in before.items())


def test_spectral_normalisation_does_not_depend_on_the_scale_of_the_weights():
    weight = normal(2, 3, 4)
    torch.testing.assert_close(normalised(weight, 3), normalised(1e-3 * weight, 3))
    torch.testing.assert_close(normalised(weight, 3), normalised(1e3 * weight, 3))


def test_spectral_normalisation_of_zeros_is_finite_and_has_a_finite_gradient():
    weight = torch.zeros(1, 3, 2, requires_grad=True)
    got = normalised(weight, 2)
    assert bool((got == 0).all())
    (grad,) = torch.autograd.grad(got.sum(), weight)
    assert bool(torch.isfinite(grad).all())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: WeightClipping(0.0), "clipping bound must be positive, found 0.0"),
        (lambda: GradientPenalty(0.0), "penalty's weight must be positive, found 0.0"),
        (lambda: GradientPenalty(1.0, -0.5), "penalty's target must be at least 0, found -0.5"),
        (lambda: SpectralNormalization(0), "needs at least 1 power iteration, found 0"),
    ],
)
def test_a_constraint_refuses_arguments_outside_their_range(build, message):
    with pytest.raises(InvalidInputError, match=message):
        build()
