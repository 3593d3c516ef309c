"""R1 and R2 against closed forms on linear and quadratic critics, for all pairs and one by one."""

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import feedback, feedback_reference
from mixnash.core.games.constraints import Unconstrained, ZeroCentredPenalty
from mixnash.core.games.packed import PackedGame
from mixnash.core.games.relativistic import Relativistic
from mixnash.core.games.vectors import VECTOR, VECTOR_NETWORKS
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.types import BOTH, CRITICS, NetworkFunctions, Networks, Profile
from problems import DOUBLE, gan_batch, mlp_problem, tanh_problem, vectors

POINTS = torch.tensor([[1.0, 2.0], [-1.0, 0.5]], dtype=DOUBLE)
"""What the two generators make, whatever the latent."""
WEIGHTS = [0.3, 0.7]
EVALUATIONS = pytest.mark.parametrize("evaluate", [feedback, feedback_reference])


def quadratic(params, samples):
    """d(s) = a |s|^2 / 2 with the first coordinate of the vector as a: the slope at s is a |s|."""
    return params[VECTOR][..., :1] * samples.square().sum(-1) / 2


def charge(constraint, critic, slopes, evaluate):
    """What the critics pay, and its gradient."""
    profile = Profile(vectors(*POINTS.tolist(), weights=WEIGHTS), vectors(*slopes))
    networks = Networks(VECTOR_NETWORKS.generator, NetworkFunctions(critic, critic))
    batch = gan_batch(2, (2,))
    penalised, free = (
        evaluate(Wasserstein(one), networks, profile, batch, CRITICS) for one in (constraint, Unconstrained())
    )
    return penalised.critic_losses - free.critic_losses, penalised.critic_grads[VECTOR] - free.critic_grads[VECTOR]


@EVALUATIONS
def test_linear_critics_pay_half_the_sum_of_both_weights_times_their_squared_slope(evaluate):
    slopes = torch.tensor([[3.0, -4.0], [0.6, 0.0], [0.0, 0.0]], dtype=DOUBLE)
    paid, grads = charge(ZeroCentredPenalty(2.0, 5.0), VECTOR_NETWORKS.critic.single, slopes.tolist(), evaluate)
    torch.testing.assert_close(paid, 3.5 * torch.tensor([25.0, 0.36, 0.0], dtype=DOUBLE))
    torch.testing.assert_close(grads, 7.0 * slopes)  # 0 and not NaN for the flat critic


@EVALUATIONS
@pytest.mark.parametrize(("real_weight", "generated_weight"), [(2.0, 0.0), (0.0, 5.0), (2.0, 5.0)])
def test_r1_is_taken_at_real_samples_and_r2_at_generated_ones(real_weight, generated_weight, evaluate):
    constraint = ZeroCentredPenalty(real_weight, generated_weight)
    paid, grads = charge(constraint, quadratic, [[1.5, 0.0], [-0.4, 0.0], [0.7, 0.0]], evaluate)
    real = float(gan_batch(2, (2,)).real.square().sum(-1).mean())
    generated = WEIGHTS[0] * 5.0 + WEIGHTS[1] * 1.25
    each = (real_weight * real + generated_weight * generated) / 2
    a = torch.tensor([1.5, -0.4, 0.7], dtype=DOUBLE)
    torch.testing.assert_close(paid, each * a.square())
    torch.testing.assert_close(grads[:, 0], 2 * each * a)


@pytest.mark.parametrize("weights", [(2.0, 0.0), (0.0, 5.0), (2.0, 5.0)])
@pytest.mark.parametrize("event", [(2,), (1, 4, 4)], ids=["points", "images"])
@pytest.mark.parametrize("make", [mlp_problem, tanh_problem])
def test_all_pairs_at_once_equal_the_double_loop(make, event, weights):
    game, problem = Relativistic(ZeroCentredPenalty(*weights)), make(3, 4, event)
    one, other = (evaluate(game, *problem, BOTH) for evaluate in (feedback, feedback_reference))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_packs_pay_for_the_slope_over_the_whole_pack():
    game, problem = PackedGame(Relativistic(ZeroCentredPenalty(2.0, 3.0)), 2), tanh_problem(2, 3, packing=2)
    one, other = (evaluate(game, *problem, BOTH) for evaluate in (feedback, feedback_reference))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("weights", "evaluations"), [((1.0, 0.0), [11]), ((0.0, 1.0), [10]), ((1.0, 1.0), [11, 10])])
def test_real_slopes_are_computed_once_for_all_generators(weights, evaluations):
    problem, seen = tanh_problem(2, 3), []

    def recorded(params, inputs):
        seen.append(inputs.shape[1])
        own = inputs.detach().requires_grad_()
        (slopes,) = torch.autograd.grad(problem.networks.critic.stacked(params, own).sum(), own, create_graph=True)
        return slopes

    networks = problem.networks._replace(critic=problem.networks.critic._replace(input_gradient=recorded))
    feedback(Relativistic(ZeroCentredPenalty(*weights)), networks, problem.profile, problem.batch, CRITICS)
    assert seen == evaluations


def test_slopes_between_the_samples_are_free():
    """A smooth step between real samples at -1 and generated ones at 1: any height at no charge."""

    def step(params, samples):
        return params[VECTOR][..., :1] * torch.tanh(40 * samples[..., 0])

    profile = Profile(vectors([1.0, 0.0]), vectors([1e3, 0.0]))
    batch = gan_batch(1, (2,))
    batch = batch._replace(real=batch.real - batch.real + torch.tensor([-1.0, 0.0], dtype=DOUBLE))
    networks = Networks(VECTOR_NETWORKS.generator, NetworkFunctions(step, step))
    constraint = ZeroCentredPenalty(10.0, 10.0)
    seen = feedback(Wasserstein(constraint), networks, profile, batch, CRITICS)
    assert float(seen.critic_losses) == pytest.approx(2e3, rel=1e-6)
    assert not constraint.bounds_slopes
    assert not Wasserstein(constraint).bounded_above


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((-1.0, 1.0), "The real_weight of a zero-centred penalty must be at least 0, found -1.0"),
        ((1.0, -0.5), "The generated_weight of a zero-centred penalty must be at least 0, found -0.5"),
        ((0.0, 0.0), "needs a positive real_weight or generated_weight, found 0 for both"),
    ],
)
def test_weights_out_of_range_are_refused(weights, message):
    with pytest.raises(InvalidInputError, match=message):
        ZeroCentredPenalty(*weights)
