"""The stacked feedback against the double loop, modules with `backward`, finite differences, and bilinearity."""

import pytest
import torch
from torch import nn

from mixnash.core.feedback import feedback, feedback_reference
from mixnash.core.games.constraints import GradientPenalty, SpectralNormalization, Unconstrained
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.vectors import VECTOR, VECTOR_NETWORKS
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.population import make_population, particle, stack, weights
from mixnash.core.types import BOTH, CRITICS, GENERATORS, NetworkFunctions, Networks, Player, Profile
from plugins import ADVERSARIAL_GAMES, CONSTRAINTS, VECTOR_GAMES, make
from problems import (
    DOUBLE,
    gan_batch,
    mlp_problem,
    normal,
    tanh_problem,
    vector_batch,
)

VARIANTS = {kind.__name__: lambda kind=kind: make(CONSTRAINTS, kind) for kind in CONSTRAINTS}
VARIANTS |= {"one-sided": lambda: GradientPenalty(2.0, 0.4, one_sided=True), "flat": lambda: GradientPenalty(2.0, 0.0)}
EVENTS, SIZES = [(2,), (1, 4, 4)], [(3, 4), (1, 1), (2, 1)]
SIDES = pytest.mark.parametrize("players", [BOTH, GENERATORS, CRITICS], ids=["both", "generators", "critics"])
EXACT = {"rtol": 0, "atol": 1e-10}


def same_feedback(got, expected, players):
    for name in ("values", "generator_losses", "critic_losses"):
        torch.testing.assert_close(getattr(got, name), getattr(expected, name), **EXACT)
    assert (got.generator_grads is None) == (expected.generator_grads is None) == (Player.GENERATOR not in players)
    assert (got.critic_grads is None) == (expected.critic_grads is None) == (Player.CRITIC not in players)
    for name in ("generator_grads", "critic_grads"):
        if getattr(expected, name) is not None:
            torch.testing.assert_close(getattr(got, name), getattr(expected, name), **EXACT)
    assert not any(leaf.requires_grad for leaf in got[:3])


@SIDES
@pytest.mark.parametrize("event", EVENTS, ids=["points", "images"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ADVERSARIAL_GAMES)
def test_all_pairs_at_once_equal_the_double_loop(kind, variant, event, players):
    game = make(ADVERSARIAL_GAMES, kind, VARIANTS[variant]())
    problem = mlp_problem(3, 4, event)
    same_feedback(feedback(game, *problem, players), feedback_reference(game, *problem, players), players)


@SIDES
@pytest.mark.parametrize("sizes", SIZES[1:])
@pytest.mark.parametrize("variant", VARIANTS)
def test_all_pairs_at_once_equal_the_double_loop_for_single_particles(variant, sizes, players):
    game, problem = Hinge(VARIANTS[variant]()), mlp_problem(*sizes)
    same_feedback(feedback(game, *problem, players), feedback_reference(game, *problem, players), players)


@SIDES
@pytest.mark.parametrize("kind", VECTOR_GAMES)
def test_all_pairs_at_once_equal_the_double_loop_for_vectors(kind, players):
    game = make(VECTOR_GAMES, kind)
    profile = Profile(
        *(
            make_population({VECTOR: domain.project(normal(n, domain.dim))}, normal(n, key=1))
            for n, domain in ((3, game.minimiser), (4, game.maximiser))
        )
    )
    problem = VECTOR_NETWORKS, profile, vector_batch(3, game.minimiser.dim)
    same_feedback(feedback(game, *problem, players), feedback_reference(game, *problem, players), players)


# ---------------------------------------------------------------------- modules and backward


def functions(module):
    def single(params, inputs):
        return torch.func.functional_call(module, params, (inputs,))

    return NetworkFunctions(single, torch.vmap(single))


def modules(count, build, key):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key)
        return [build().double() for _ in range(count)]


def convolutional_critic():
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.Softplus(), nn.Flatten(), nn.Linear(12, 1), nn.Flatten(0))


def test_wasserstein_with_penalty_equals_modules_and_one_backward_of_the_whole_objective():
    generators = modules(2, lambda: nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Unflatten(1, (1, 4, 4))), 1)
    critics = modules(3, convolutional_critic, 2)
    p, q, coefficient = torch.tensor([0.3, 0.7]), torch.tensor([0.5, 0.1, 0.4]), 4.0
    batch = gan_batch(2, (1, 4, 4))

    payoff = charge = torch.zeros((), dtype=DOUBLE)
    for k, generator in enumerate(generators):
        fake = generator(batch.latent[k])
        for l, critic in enumerate(critics):  # noqa: E741
            payoff = payoff + p[k] * q[l] * (critic(batch.real[0]).mean() - critic(fake).mean())
            u = batch.mix[k].view(-1, 1, 1, 1)
            between = (u * fake.detach() + (1 - u) * batch.anchor[k]).requires_grad_()
            (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
            charge = charge + p[k] * q[l] * coefficient * ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
    payoff.backward(retain_graph=True)
    by_hand = [{n: leaf.grad / p[k] for n, leaf in one.named_parameters()} for k, one in enumerate(generators)]
    for one in critics:
        one.zero_grad()
    (charge - payoff).backward()
    by_hand_critics = [{n: leaf.grad / q[l] for n, leaf in one.named_parameters()} for l, one in enumerate(critics)]  # noqa: E741

    profile = Profile(
        make_population(stack([dict(one.named_parameters()) for one in generators]), p.double().log()),
        make_population(stack([dict(one.named_parameters()) for one in critics]), q.double().log()),
    )
    networks = Networks(functions(generators[0]), functions(critics[0]))
    got = feedback(Wasserstein(GradientPenalty(coefficient)), networks, profile, batch, BOTH)
    torch.testing.assert_close(got.generator_grads, stack(by_hand), rtol=1e-6, atol=1e-8)  # p is a float32 above
    torch.testing.assert_close(got.critic_grads, stack(by_hand_critics), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(p.double() @ got.values @ q.double(), payoff.detach(), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(q.double() @ got.critic_losses, (charge - payoff).detach(), rtol=1e-6, atol=1e-8)


# ---------------------------------------------------------------------- finite differences

SMOOTH = {
    "free": Unconstrained,
    "penalty": lambda: GradientPenalty(3.0, 0.7),
    "one-sided": lambda: GradientPenalty(3.0, 0.1, one_sided=True),
    "spectral": lambda: SpectralNormalization(300),  # its gradient takes the iteration as converged
}


def objective(game, problem, player, params):
    """The sum over one player's particles of what each descends, pair by pair, with that player at `params`."""
    networks, profile, batch = problem
    total = torch.zeros((), dtype=DOUBLE)
    generators, critics = profile.generators.params, profile.critics.params
    generators, critics = (params, critics) if player is Player.GENERATOR else (generators, params)
    effective = game.constrain_critic(critics)
    for k, p in enumerate(weights(profile.generators)):
        for l, q in enumerate(weights(profile.critics)):  # noqa: E741
            critic = DifferentiableCritic(networks.critic.single, particle(effective, l))

            def generate(latent, k=k):
                return networks.generator.single(particle(generators, k), latent)

            terms = game.terms(generate, critic, batch.pair(k))
            if player is Player.GENERATOR:
                total += q * terms.generator_loss
            else:
                penalty = game.penalty(generate, critic, batch.pair(k))
                total += p * (terms.critic_loss + (0 if penalty is None else penalty))
    return float(total)


class DifferentiableCritic:
    """A critic with its input gradient by central differences."""

    def __init__(self, apply, params):
        self.apply, self.params = apply, params

    def __call__(self, samples):
        return self.apply(self.params, samples)

    def input_gradient(self, samples):
        flat = samples.flatten(1)
        slopes = []
        for step in 1e-6 * torch.eye(flat.shape[1], dtype=DOUBLE):
            ahead, behind = ((flat + sign * step).reshape(samples.shape) for sign in (1, -1))
            slopes.append((self(ahead) - self(behind)) / 2e-6)
        return torch.stack(slopes, dim=1).reshape(samples.shape)


@pytest.mark.parametrize("player", Player)
@pytest.mark.parametrize("variant", SMOOTH)
@pytest.mark.parametrize("kind", ADVERSARIAL_GAMES)
def test_gradients_agree_with_finite_differences_of_the_objective(kind, variant, player):
    game, problem = make(ADVERSARIAL_GAMES, kind, SMOOTH[variant]()), tanh_problem(2, 3)
    seen = feedback(game, *problem, BOTH)
    population, grads = (
        (problem.profile.generators, seen.generator_grads)
        if player is Player.GENERATOR
        else (problem.profile.critics, seen.critic_grads)
    )
    for key in range(3):
        direction = {name: normal(*leaf.shape, key=30 + key) for name, leaf in population.params.items()}
        ahead, behind = (
            objective(game, problem, player, {n: leaf + h * direction[n] for n, leaf in population.params.items()})
            for h in (1e-4, -1e-4)
        )
        slope = sum(float((grads[name] * direction[name]).sum()) for name in direction)
        assert slope == pytest.approx((ahead - behind) / 2e-4, rel=1e-5, abs=1e-5)


# ---------------------------------------------------------------------- the two mixed strategies


def reweighted(problem, player, key=40):
    population = problem.profile.generators if player is Player.GENERATOR else problem.profile.critics
    other = make_population(population.params, normal(len(population.log_weights), key=key))
    field = "generators" if player is Player.GENERATOR else "critics"
    return problem._replace(profile=problem.profile._replace(**{field: other}))


@pytest.mark.parametrize("kind", ADVERSARIAL_GAMES)
def test_a_players_own_weights_change_neither_its_gradients_nor_its_losses_nor_the_values(kind):
    game, problem = make(ADVERSARIAL_GAMES, kind, GradientPenalty(2.0)), tanh_problem()
    seen = feedback(game, *problem, BOTH)
    generators, critics = (feedback(game, *reweighted(problem, player), BOTH) for player in Player)
    for other in (generators, critics):
        assert torch.equal(seen.values, other.values)
    torch.testing.assert_close(seen.generator_grads, generators.generator_grads, **EXACT)
    torch.testing.assert_close(seen.generator_losses, generators.generator_losses, **EXACT)
    torch.testing.assert_close(seen.critic_grads, critics.critic_grads, **EXACT)
    torch.testing.assert_close(seen.critic_losses, critics.critic_losses, **EXACT)
    # ... but they change the opponent's.
    assert not torch.allclose(seen.critic_losses, generators.critic_losses)
    assert not torch.allclose(seen.generator_losses, critics.generator_losses)


@pytest.mark.parametrize("player", Player)
@pytest.mark.parametrize("kind", ADVERSARIAL_GAMES)
def test_gradients_and_losses_are_linear_in_the_opponents_mixed_strategy(kind, player):
    game, problem = make(ADVERSARIAL_GAMES, kind, GradientPenalty(2.0)), tanh_problem(2, 2)
    opponent = Player.CRITIC if player is Player.GENERATOR else Player.GENERATOR
    share = torch.tensor([0.3, 0.7], dtype=DOUBLE)

    def answer(log_weights):
        field = "critics" if opponent is Player.CRITIC else "generators"
        population = getattr(problem.profile, field)._replace(log_weights=log_weights)
        seen = feedback(game, *problem._replace(profile=problem.profile._replace(**{field: population})), BOTH)
        critic = player is Player.CRITIC
        return (seen.critic_losses, seen.critic_grads) if critic else (seen.generator_losses, seen.generator_grads)

    never = -torch.inf
    mixed_losses, mixed_grads = answer(share.log())
    (first_losses, first_grads), (second_losses, second_grads) = (
        answer(torch.tensor(one, dtype=DOUBLE)) for one in ([0.0, never], [never, 0.0])
    )
    torch.testing.assert_close(mixed_losses, 0.3 * first_losses + 0.7 * second_losses, **EXACT)
    for name, leaf in mixed_grads.items():
        torch.testing.assert_close(leaf, 0.3 * first_grads[name] + 0.7 * second_grads[name], **EXACT)


def test_two_copies_of_a_particle_with_half_its_weight_each_change_nothing_for_the_opponent():
    game, problem = Wasserstein(GradientPenalty(2.0)), tanh_problem(2, 2)
    doubled = {name: leaf[[0, 1, 1]] for name, leaf in problem.profile.critics.params.items()}
    q = weights(problem.profile.critics)
    critics = make_population(doubled, torch.stack([q[0], q[1] / 2, q[1] / 2]).log())
    seen = feedback(game, *problem, GENERATORS)
    split = feedback(game, *problem._replace(profile=problem.profile._replace(critics=critics)), GENERATORS)
    torch.testing.assert_close(seen.generator_grads, split.generator_grads, **EXACT)


@pytest.mark.parametrize("evaluate", [feedback, feedback_reference])
def test_evaluating_a_game_changes_nothing(evaluate):
    problem = tanh_problem()
    before = [leaf.clone() for population in problem.profile for leaf in population.params.values()]
    first = evaluate(Hinge(GradientPenalty(2.0)), *problem, BOTH)
    again = evaluate(Hinge(GradientPenalty(2.0)), *problem, BOTH)
    after = [leaf for population in problem.profile for leaf in population.params.values()]
    assert all(map(torch.equal, before, after))
    assert not any(leaf.requires_grad or leaf.grad is not None for leaf in after)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
