"""Packing: the stacked game against the loop over pairs, against sums by hand, and against the game it wraps."""

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import feedback, feedback_reference
from mixnash.core.games.constraints import GradientPenalty, SpectralNormalization, Unconstrained, WeightClipping
from mixnash.core.games.fourier_counterexample import FourierCounterexample
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.packed import PackedGame, pack, packed_shape
from mixnash.core.games.vectors import VECTOR
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.population import make_population, stack
from mixnash.core.tree import flatten
from mixnash.core.types import BOTH, CRITICS, GENERATORS, Batch, NetworkFunctions, Networks, Player, Profile
from mixnash.networks.base import functions_of, parameters_of
from mixnash.networks.mlp import MLPCritic
from plugins import ADVERSARIAL_GAMES, CONSTRAINTS, make, over
from problems import DOUBLE, Problem, make_rng, mlp_problem, normal, tanh_problem

EXACT = {"rtol": 0, "atol": 1e-10}
SIDES = pytest.mark.parametrize("players", [BOTH, GENERATORS, CRITICS], ids=["both", "generators", "critics"])


def flat(seen):
    return flatten({name: one for name, one in seen._asdict().items() if one is not None})


def packed_problem(packing, event=(2,), octaves=0):
    """The project's MLPs, 3 generators against 4 critics on packs; 5 latents and 11 real samples leave a rest."""
    problem = mlp_problem(3, 4, event)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(8)
        critics = [
            MLPCritic((packing, *event), width=6, depth=2, negative_slope=0.2, octaves=octaves).double()
            for _ in range(4)
        ]
    params = stack([parameters_of(one) for one in critics])
    return Problem(
        problem.networks._replace(critic=functions_of(critics[0])),
        problem.profile._replace(critics=make_population(params, problem.profile.critics.log_weights)),
        problem.batch,
    )


@SIDES
@over("constraint", CONSTRAINTS)
@over("kind", ADVERSARIAL_GAMES)
def test_all_pairs_at_once_equal_the_double_loop_on_packs(kind, constraint, players):
    game, problem = PackedGame(make(ADVERSARIAL_GAMES, kind, make(CONSTRAINTS, constraint)), 2), packed_problem(2)
    seen, expected = (evaluate(game, *problem, players) for evaluate in (feedback, feedback_reference))
    torch.testing.assert_close(flat(seen), flat(expected), **EXACT)


@pytest.mark.parametrize(("packing", "event", "octaves"), [(5, (2,), 3), (3, (1, 2, 2), 0), (2, (1, 2, 2), 2)])
def test_all_pairs_at_once_equal_the_double_loop_for_images_fourier_features_and_longer_packs(packing, event, octaves):
    game, problem = PackedGame(Hinge(GradientPenalty(2.0, 0.3)), packing), packed_problem(packing, event, octaves)
    seen, expected = (evaluate(game, *problem, BOTH) for evaluate in (feedback, feedback_reference))
    torch.testing.assert_close(flat(seen), flat(expected), **EXACT)


@pytest.mark.parametrize("evaluate", [feedback, feedback_reference])
@over("constraint", CONSTRAINTS)
@over("kind", ADVERSARIAL_GAMES)
def test_packs_of_one_equal_the_inner_game_bit_for_bit(kind, constraint, evaluate):
    inner, packs_of_one = make(ADVERSARIAL_GAMES, kind, make(CONSTRAINTS, constraint)), packed_problem(1)
    plain = MLPCritic((2,), width=6, depth=2, negative_slope=0.2).double()
    problem = packs_of_one._replace(networks=packs_of_one.networks._replace(critic=functions_of(plain)))
    seen = flat(evaluate(PackedGame(inner, 1), *packs_of_one, BOTH))
    expected = flat(evaluate(inner, *problem, BOTH))
    assert seen.keys() == expected.keys()
    assert all(torch.equal(leaf, expected[name]) for name, leaf in seen.items())


# ---------------------------------------------------------------------- by hand


def product_critic():
    """d(x_1, x_2) = w x_1 x_2 on packs [..., n, 2, 1] of numbers."""

    def single(params, packs):
        return params["w"] * packs[..., 0, 0] * packs[..., 1, 0]

    def stacked(params, packs):
        return params["w"].unsqueeze(-1) * packs[..., 0, 0] * packs[..., 1, 0]

    return NetworkFunctions(single, stacked)


def shift_generator():
    """g(z) = z + a."""
    return NetworkFunctions(lambda params, z: z + params["a"], lambda params, z: z + params["a"].reshape(-1, 1, 1))


@pytest.mark.parametrize("evaluate", [feedback, feedback_reference])
def test_payoff_penalty_and_gradients_of_pairs_of_numbers_are_those_computed_by_hand(evaluate):
    # Generated: (1, 2), (0, 4) shifted by a = 1; real: (1, 3), (2, 2); the critic is 2 x y.
    def column(*numbers):
        return torch.tensor(numbers, dtype=DOUBLE).reshape(1, -1, 1)

    batch = Batch(
        column(1.0, 3.0, 2.0, 2.0, 99.0),  # the last is left over
        column(1.0, 2.0, 0.0, 4.0),
        column(1.0, 0.0, -1.0, 2.0),
        torch.tensor([[0.5, 0.9, 0.25, 0.1]], dtype=DOUBLE),
    )
    profile = Profile(
        make_population({"a": torch.tensor([1.0], dtype=DOUBLE)}),
        make_population({"w": torch.tensor([2.0], dtype=DOUBLE)}),
    )
    game = PackedGame(Wasserstein(GradientPenalty(3.0)), 2)
    seen = evaluate(game, Networks(shift_generator(), product_critic()), profile, batch, BOTH)
    # Packs: generated (2, 3), (1, 5): mean product 5.5; real products 3 and 4: mean 3.5.
    assert seen.values.item() == pytest.approx(2 * (3.5 - 5.5))
    assert seen.generator_grads["a"].item() == pytest.approx(-2 * ((2 + 3) + (1 + 5)) / 2)
    # One u per pack, the first: 0.5 between (1, 0) and (2, 3): (1.5, 1.5); 0.25 between (-1, 2) and (1, 5):
    # (-0.5, 2.75). The gradient of w x y is w (y, x).
    norms = [(1.5**2 + 1.5**2) ** 0.5, (0.5**2 + 2.75**2) ** 0.5]
    penalty = 3 * sum((2 * norm - 1) ** 2 for norm in norms) / 2
    assert seen.critic_losses.item() == pytest.approx(4.0 + penalty)
    slope = 3 * sum(2 * (2 * norm - 1) * norm for norm in norms) / 2
    assert seen.critic_grads["w"].item() == pytest.approx(2.0 + slope)


def test_a_pack_holds_neighbours_of_one_generator():
    samples = torch.arange(30.0).reshape(2, 5, 3)
    packs = pack(samples, 2, axis=1)
    assert packs.shape == (2, 2, 2, 3)
    assert torch.equal(packs[1, 1], samples[1, 2:4])
    assert torch.equal(pack(samples[0], 5), samples[:1])


def test_packed_critics_see_packs_and_others_the_event():
    assert tuple(packed_shape((1, 4, 4), 3)) == (3, 1, 4, 4)
    assert tuple(packed_shape([2], 1)) == (2,)


def test_packs_tell_a_split_mixture_from_the_data_that_single_samples_cannot():
    """Two generators, one per mode of the data -1, +1, each with half the weight: all samples agree in law."""
    profile = Profile(
        make_population({"a": torch.tensor([-1.0, 1.0], dtype=DOUBLE)}),
        make_population({"w": torch.tensor([-1.0], dtype=DOUBLE)}),
    )
    real = torch.where(torch.rand(1, 40_000, 1, generator=make_rng(0)) < 0.5, -1.0, 1.0).double()
    still = torch.zeros(2, 4, 1, dtype=DOUBLE)
    batch = Batch(real, still, still, still.squeeze(-1))
    seen = feedback(
        PackedGame(Wasserstein(Unconstrained()), 2), Networks(shift_generator(), product_critic()), profile, batch, BOTH
    )
    # The critic -x_1 x_2 gives every generated pack -1 and real ones 0 in the mean.
    assert float((seen.values.mT / 2).sum()) == pytest.approx(1.0, abs=4 / 20_000**0.5)


# ---------------------------------------------------------------------- the rest of a game


def test_everything_but_the_samples_is_the_inner_games():
    inner = Hinge(WeightClipping(0.5))
    game, params = PackedGame(inner, 3), {"w": 2 * normal(2, 4, 5)}
    for player in Player:
        assert torch.equal(game.project(player, params)["w"], inner.project(player, params)["w"])
    spectral = SpectralNormalization(3)
    wrapped = PackedGame(Hinge(spectral), 3).constrain_critic(params)["w"]
    assert torch.equal(wrapped, spectral.reparametrise(params)["w"])
    assert game.zero_sum == inner.zero_sum


@pytest.mark.parametrize("inner", [make(ADVERSARIAL_GAMES, kind, Unconstrained()) for kind in ADVERSARIAL_GAMES])
def test_it_is_zero_sum_and_bounded_exactly_if_the_inner_game_is(inner):
    assert PackedGame(inner, 2).zero_sum == inner.zero_sum
    assert PackedGame(inner, 2).bounded_above == inner.bounded_above


def test_proposals_and_names_of_positions_are_the_inner_games():
    inner = FourierCounterexample()  # on a torus
    game = PackedGame(inner, 2)
    own, expected = (one.propose(Player.CRITIC, (4,), make_rng(1))[VECTOR] for one in (game, inner))
    assert torch.equal(own, expected)
    here, there = ({VECTOR: torch.tensor([[at]], dtype=DOUBLE)} for at in (0.95, 0.05))
    assert game.unwrap(Player.CRITIC, here, there)[VECTOR].item() == pytest.approx(-0.05)


def test_payoffs_need_no_anchors():
    problem = tanh_problem(2, 3, packing=2)
    game, bare = PackedGame(Hinge(), 2), problem.batch._replace(anchor=torch.zeros(0, dtype=DOUBLE))
    seen = feedback(game, problem.networks, problem.profile, bare, GENERATORS)
    torch.testing.assert_close(seen.values, feedback(game, *problem, GENERATORS).values, **EXACT)


def test_packs_below_one_sample_are_refused():
    with pytest.raises(InvalidInputError, match="packing must be at least 1 sample, found 0"):
        PackedGame(Hinge(), 0)


def test_batches_below_one_pack_are_refused():
    with pytest.raises(InvalidInputError, match="Packs of 6 need at least 6 samples, found 5"):
        feedback(PackedGame(Hinge(), 6), *packed_problem(6), BOTH)
