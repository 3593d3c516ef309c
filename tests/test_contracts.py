"""What every plug-in class promises; a new file joins by itself and asks for a row in `plugins.py` if it has none."""

import inspect
import itertools

import pytest
import torch

import mixnash.core
import mixnash.core.augmentations
import mixnash.core.dynamics
import mixnash.core.games
import mixnash.core.rules
import mixnash.networks
import plugins
import problems
from mixnash.core.augmentations.base import AbstractAugmentation
from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.feedback import feedback, feedback_reference
from mixnash.core.games.augmented import AugmentedGame
from mixnash.core.games.base import AbstractConstrainedGame, AbstractGame
from mixnash.core.games.constraints import AbstractCriticConstraint, GradientPenalty
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.packed import PackedGame
from mixnash.core.games.vectors import VECTOR, VECTOR_NETWORKS, AbstractVectorGame
from mixnash.core.population import make_population, particle
from mixnash.core.rules.base import AbstractPositionRule, AbstractWeightRule
from mixnash.core.schedules import AbstractSchedule
from mixnash.core.tree import flatten, unflatten
from mixnash.core.types import BOTH, CRITICS, GENERATORS, Player, Profile
from mixnash.networks.base import AbstractCritic, AbstractNetwork, differentiated, functions_of, parameters_of
from plugins import clone, make, over, same, saved_and_loaded
from problems import make_rng, normal

GAMES = plugins.discover(AbstractGame, mixnash.core)
CONSTRAINTS = plugins.discover(AbstractCriticConstraint, mixnash.core)
POSITION_RULES = plugins.discover(AbstractPositionRule, mixnash.core)
WEIGHT_RULES = plugins.discover(AbstractWeightRule, mixnash.core)
SCHEDULES = plugins.discover(AbstractSchedule, mixnash.core)
DYNAMICS = plugins.discover(AbstractDynamics, mixnash.core)
AUGMENTATIONS = plugins.discover(AbstractAugmentation, mixnash.core)
NETWORKS = plugins.discover(AbstractNetwork, mixnash.networks)

OWN_FILE = {
    mixnash.core.games: GAMES,
    mixnash.core.rules: POSITION_RULES + WEIGHT_RULES,
    mixnash.core.dynamics: DYNAMICS,
    mixnash.core.augmentations: AUGMENTATIONS,
}
ONE_FILE = {"mixnash.core.games.constraints": CONSTRAINTS, "mixnash.core.schedules": SCHEDULES}
EVERYTHING = [*itertools.chain(*OWN_FILE.values()), *CONSTRAINTS, *SCHEDULES, *NETWORKS]


# ---------------------------------------------------------------------- form


def test_the_search_finds_the_classes_that_must_be_there():
    assert {"Hinge", "Adam", "Frozen", "Constant", "Extragradient", "MLPCritic", "GradientPenalty"} <= {
        one.__name__ for one in EVERYTHING
    }


@over("plugin", EVERYTHING)
def test_a_class_is_final_and_explained(plugin):
    assert plugin.__dict__.get("__final__"), f"Mark {plugin.__name__} with typing.final."
    assert inspect.cleandoc(plugin.__dict__["__doc__"] or "").strip()
    for name, member in vars(plugin).items():
        if callable(member) and not name.startswith("_"):
            assert member.__doc__, f"{plugin.__name__}.{name} has no docstring."


@pytest.mark.parametrize("package", OWN_FILE, ids=lambda one: one.__name__)
def test_every_class_has_a_file_of_its_own_in_its_package(package):
    homes = [one.__module__ for one in OWN_FILE[package]]
    assert all(home.startswith(package.__name__ + ".") for home in homes)
    assert len(set(homes)) == len(homes)


@pytest.mark.parametrize("module", ONE_FILE)
def test_constraints_and_schedules_share_their_file(module):
    assert {one.__module__ for one in ONE_FILE[module]} == {module}


@over("plugin", NETWORKS)
def test_networks_live_in_their_package(plugin):
    assert plugin.__module__.startswith("mixnash.networks.")


# ---------------------------------------------------------------------- schedules


@over("plugin", SCHEDULES)
def test_a_schedule_is_a_function_of_the_step_within_its_bounds(plugin):
    schedule, again = make(plugins.SCHEDULES, plugin), make(plugins.SCHEDULES, plugin)
    lowest, highest = schedule.bounds()
    values = [schedule(step) for step in range(50)]
    assert values == [again(step) for step in reversed(range(50))][::-1]
    assert all(lowest <= value <= highest for value in values)


# ---------------------------------------------------------------------- games and constraints


def game_problem(plugin):
    """A game of any kind, with networks, profile and draws."""
    if issubclass(plugin, AbstractConstrainedGame):
        return make(plugins.ADVERSARIAL_GAMES, plugin, GradientPenalty(2.0)), problems.tanh_problem(2, 3)
    if issubclass(plugin, PackedGame):  # batches of 5 and 11 samples leave a rest
        return make(plugins.PACKED_GAMES, plugin), problems.tanh_problem(2, 3, packing=2)
    if issubclass(plugin, AugmentedGame):
        return make(plugins.AUGMENTED_GAMES, plugin), problems.augmented_problem(2, 3, (2, 2, 1))
    game = make(plugins.VECTOR_GAMES, plugin)
    profile = Profile(
        *(
            make_population({VECTOR: domain.project(normal(n, domain.dim))}, normal(n, key=1))
            for n, domain in ((2, game.minimiser), (3, game.maximiser))
        )
    )
    batch = problems.vector_batch(2, game.minimiser.dim)
    return game, problems.Problem(VECTOR_NETWORKS, profile, batch)


def pair_gradients(game, problem, choose):
    """Gradient of one of the terms of one pair in the generator, and in the critic, whose scores reach far."""
    networks, profile, batch = problem
    g, d = ({name: (5 * leaf).requires_grad_() for name, leaf in particle(one.params, 1).items()} for one in profile)

    class Pair:
        def __call__(self, samples):
            return networks.critic.single(d, samples)

        def input_gradient(self, samples):
            raise AssertionError("A payoff does not need it.")

    terms = game.terms(lambda latent: networks.generator.single(g, latent), Pair(), batch.pair(1))
    leaves = [*g.values(), *d.values()]
    gradients = torch.autograd.grad(choose(terms), leaves, materialize_grads=True)
    return torch.cat([one.flatten() for one in gradients[: len(g)]]), torch.cat(
        [one.flatten() for one in gradients[len(g) :]]
    )


@over("plugin", GAMES)
def test_a_game_is_zero_sum_exactly_if_it_says_so(plugin):
    game, problem = game_problem(plugin)
    value, own, other = (
        pair_gradients(game, problem, choose)
        for choose in (lambda t: t.value, lambda t: t.generator_loss, lambda t: t.critic_loss)
    )
    same_for_generator, same_for_critic = (
        torch.allclose(one, other, rtol=1e-9, atol=1e-12) for one, other in ((own[0], value[0]), (other[1], -value[1]))
    )
    assert game.zero_sum == (same_for_generator and same_for_critic)
    # The critic of a GAN always descends minus the payoff; only its generator may have a loss of its own.
    assert same_for_critic or isinstance(game, AbstractVectorGame)


@pytest.mark.parametrize("players", [BOTH, GENERATORS, CRITICS])
@over("plugin", GAMES)
def test_a_game_gives_the_same_feedback_for_all_pairs_as_pair_by_pair(plugin, players):
    game, problem = game_problem(plugin)
    got, expected = (evaluate(game, *problem, players) for evaluate in (feedback, feedback_reference))
    torch.testing.assert_close(flatten_feedback(got), flatten_feedback(expected), rtol=0, atol=1e-10)


def flatten_feedback(seen):
    return flatten({name: one for name, one in seen._asdict().items() if one is not None})


@over("plugin", GAMES)
def test_a_game_projects_its_players_into_their_domains_onto_fixed_points(plugin):
    game, problem = game_problem(plugin)
    for player, population in zip(Player, problem.profile, strict=True):
        outside = {name: 7 * leaf + 3 for name, leaf in population.params.items()}
        before = clone(outside)
        once = game.project(player, outside)
        assert same(outside, before)
        torch.testing.assert_close(game.project(player, once), once)
        if isinstance(game, AbstractVectorGame):
            torch.testing.assert_close(once[VECTOR], game.domain(player).project(outside[VECTOR]))
            assert bool(game.domain(player).contains(once[VECTOR]).all())


@over("plugin", CONSTRAINTS)
def test_a_constraint_is_pure_and_treats_each_critic_alone(plugin):
    constraint, params = make(plugins.CONSTRAINTS, plugin), {"w": 2 * normal(3, 4, 5), "b": normal(3, 4)}
    before = clone(params)
    for act in (constraint.reparametrise, constraint.project):
        together = act(params)
        assert same(params, before)
        for l in range(3):  # noqa: E741
            alone = act({name: leaf[l : l + 1] for name, leaf in params.items()})
            for name, leaf in alone.items():
                torch.testing.assert_close(leaf[0], together[name][l])


@over("plugin", CONSTRAINTS)
def test_a_constraint_charges_each_pair_a_number_that_is_not_negative_or_nothing(plugin):
    problem = problems.tanh_problem(2, 3)
    game = Hinge(make(plugins.CONSTRAINTS, plugin))
    got = feedback(game, *problem, CRITICS).critic_losses - feedback(game, *problem, GENERATORS).critic_losses
    assert got.shape == (3,)
    assert bool((got >= 0).all())


# ---------------------------------------------------------------------- augmentations


@over("plugin", AUGMENTATIONS)
def test_an_augmentation_changes_each_image_alone_by_its_own_draws_whatever_leads_its_axes(plugin):
    augmentation, images = make(plugins.AUGMENTATIONS, plugin), normal(2, 3, 5, 2, 6, 7)
    uniforms = torch.rand(2, 3, 5, augmentation.draws, generator=make_rng(0), dtype=images.dtype)
    before = images.clone()
    together = augmentation(images, uniforms)
    assert torch.equal(images, before)
    assert together.dtype == images.dtype
    for place in itertools.product(range(2), range(3), range(5)):
        torch.testing.assert_close(augmentation(images[place], uniforms[place]), together[place], rtol=0, atol=1e-14)
    assert len(torch.unique(together - images)) > 1


@over("plugin", AUGMENTATIONS)
def test_an_augmentation_lets_gradients_through(plugin):
    augmentation, images = make(plugins.AUGMENTATIONS, plugin), normal(2, 2, 6, 7).requires_grad_()
    uniforms = torch.rand(2, augmentation.draws, generator=make_rng(1), dtype=images.dtype)
    assert torch.autograd.gradcheck(lambda one: augmentation(one, uniforms), (images,))
    (slopes,) = torch.autograd.grad(augmentation(images, uniforms).sum(), images)
    assert bool((slopes.flatten(1).abs().sum(1) > 0).all())


# ---------------------------------------------------------------------- dynamics


def advance(dynamics, state, steps, first=0):
    problem = problems.tanh_problem(2, 3)
    oracle = problems.gan_oracle(problem, Hinge(GradientPenalty(2.0)))
    for step in range(first, first + steps):
        state, seen = dynamics.step(state, oracle, make_rng(step))
    return state, seen, oracle


def start(dynamics):
    return dynamics.init(problems.tanh_problem(2, 3).profile)


@over("plugin", DYNAMICS)
def test_a_dynamics_starts_at_the_profile_and_moves_both_players_without_touching_its_state(plugin):
    dynamics = make(plugins.DYNAMICS, plugin)
    state = start(dynamics)
    assert same(dynamics.profile(state), problems.tanh_problem(2, 3).profile)
    state, _, _ = advance(dynamics, state, 2)
    before, global_state = clone(state), torch.get_rng_state()
    new, seen, _ = advance(dynamics, state, 1)
    assert same(state, before)
    assert torch.equal(global_state, torch.get_rng_state())
    assert same(new, advance(dynamics, state, 1)[0])
    later = dynamics.profile(advance(dynamics, state, 3)[0])  # slow averages need not move at every step
    for old, moved in zip(dynamics.profile(state), later, strict=True):
        assert not any(torch.equal(old.params[name], leaf) for name, leaf in moved.params.items())
        assert abs(float(torch.logsumexp(moved.log_weights, 0))) < 1e-12
    assert seen.values.shape == (2, 3)


@over("plugin", DYNAMICS)
def test_a_dynamics_resamples_as_often_as_it_announces(plugin):
    dynamics = make(plugins.DYNAMICS, plugin)
    *_, oracle = advance(dynamics, start(dynamics), 3)
    assert oracle.calls.count("resample") == 3 * dynamics.draws_per_step
    assert oracle.calls[0] == "resample"


@over("plugin", DYNAMICS)
def test_a_dynamics_resumes_from_its_saved_state_bit_for_bit(plugin):
    dynamics = make(plugins.DYNAMICS, plugin)
    state, *_ = advance(dynamics, start(dynamics), 3)
    assert same(advance(dynamics, state, 3, first=3)[0], advance(dynamics, saved_and_loaded(state), 3, first=3)[0])


@over("plugin", DYNAMICS)
def test_a_dynamics_shows_the_numbers_of_both_players(plugin):
    dynamics = make(plugins.DYNAMICS, plugin)
    shown = dynamics.diagnostics(start(dynamics))
    assert all(isinstance(value, float) for value in shown.values())
    assert {name.partition("/")[0] for name in shown} >= {"generators", "critics"}


@over("plugin", DYNAMICS)
def test_a_dynamics_is_put_elsewhere_with_a_state_of_the_same_shape(plugin):
    dynamics = make(plugins.DYNAMICS, plugin)
    state, *_ = advance(dynamics, start(dynamics), 3)
    before, there = clone(state), problems.tanh_problem(2, 3).profile
    moved = dynamics.replace_profile(state, there)
    assert same(dynamics.profile(moved), there)
    assert same(state, before)
    unflatten(state, flatten(moved))  # a checkpoint of the one fits the other
    advance(dynamics, moved, 1)


# ---------------------------------------------------------------------- networks


@over("plugin", NETWORKS)
def test_a_network_is_deterministic_without_buffers_and_equal_stacked_and_alone(plugin):
    network = make(plugins.NETWORKS, plugin).double()
    critic = isinstance(network, AbstractCritic)
    inputs = normal(3, 6, *plugins.EVENT) if critic else normal(3, 6, network.latent_dim)
    params = {name: leaf + 0.1 * normal(3, *leaf.shape) for name, leaf in parameters_of(network).items()}
    functions = functions_of(network)
    assert not list(network.buffers())
    together = functions.stacked(params, inputs)
    assert together.shape == ((3, 6) if critic else (3, 6, *plugins.EVENT))
    assert torch.equal(together, functions.stacked(params, inputs))
    for k in range(3):
        torch.testing.assert_close(functions.single(particle(params, k), inputs[k]), together[k])
    if critic:
        torch.testing.assert_close(
            functions.input_gradient(params, inputs), differentiated(network, params, inputs), rtol=0, atol=1e-12
        )
