"""The duality gap by search: known answers on matrix games whose payoffs are seen through noise, and on tiny GANs."""

import functools
import math

import pytest
import torch

from mixnash.core.domains import Box, Euclidean, Simplex
from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import feedback_reference, regularised_payoffs
from mixnash.core.games.constraints import GradientPenalty, SpectralNormalization, Unconstrained, WeightClipping
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.non_saturating import NonSaturating
from mixnash.core.games.saddle_quadratic import SaddleQuadratic
from mixnash.core.games.vectors import VECTOR, VECTOR_NETWORKS, AbstractVectorGame
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.population import make_population, particle
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.sgd import SGD
from mixnash.core.types import CRITICS, NOBODY, Batch, Networks, Player, Point, Profile
from mixnash.equilibrium.best_response import train_responses
from mixnash.equilibrium.duality_gap import GapDraws, duality_gap, marks_of, promising_atoms
from mixnash.equilibrium.linear_program import matrix_gap, solve_matrix_game
from mixnash.equilibrium.starts import joined, make_starts
from mixnash.networks.base import functions_of, newly_made
from mixnash.networks.mlp import MLPCritic, MLPGenerator
from problems import make_rng

PAYOFF = torch.tensor([[1.0, -0.4, 0.2], [-0.7, 0.9, 0.1], [0.3, 0.2, -0.8], [0.5, 0.4, 0.6]], dtype=torch.float64)


class NoisyMatrix(AbstractVectorGame):
    """x'Ay on simplices, where a batch of real samples is a batch of matrices with mean A."""

    def __init__(self, payoff):
        super().__init__(*map(Simplex, payoff.shape))
        self._mean = payoff

    def payoff(self, x, y):
        return ((x @ self._mean.to(x)) * y).sum(-1)

    def terms(self, generate, critic, batch):
        seen = NoisyMatrix(batch.real.reshape(-1, *self._mean.shape).mean(0))
        return AbstractVectorGame.terms(seen, generate, critic, batch)


def matrix_batch(rng, generators=1, noise=0.5):
    real = PAYOFF + noise * torch.randn(1, 64, *PAYOFF.shape, generator=rng, dtype=torch.float64)
    nothing = torch.zeros(generators, 1, 1, dtype=torch.float64)
    return Batch(real, nothing, nothing, nothing[..., 0])


def matrix_draws(seed, score=50):
    rng = make_rng(seed)
    return GapDraws(
        lambda players: matrix_batch(rng),
        [matrix_batch(make_rng(seed + 100)) for _ in range(4)],
        [matrix_batch(rng) for _ in range(score)],
    )


def mixed(rows, mass):
    return make_population({VECTOR: torch.as_tensor(rows, dtype=torch.float64)}, torch.as_tensor(mass).double().log())


def pure(mass):
    kept = mass > 1e-9
    return mixed(torch.eye(len(mass))[kept], mass[kept])


def gap_of(profile, seed, marks=(0, 40, 160)):
    game = NoisyMatrix(PAYOFF)
    starts = Point(*(game.propose(player, (3,), make_rng(seed + 7)) for player in Player))
    return duality_gap(game, VECTOR_NETWORKS, profile, starts, matrix_draws(seed), marks, make_rng(seed), SGD(0.2))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_gap_of_a_solved_matrix_game_is_zero_within_its_interval(seed):
    solved = solve_matrix_game(PAYOFF)
    found = gap_of(Profile(pure(solved.row), pure(solved.column)), seed)
    # 99.7 % rather than 95 %, so that none of several tests fails by chance.
    assert found.gap.low - (found.gap.high - found.gap.low) / 4 <= 0 <= found.gap.high + 0.02
    assert found.gap.high - found.gap.low < 0.15
    assert found.value.value == pytest.approx(solved.value, abs=0.05)


@pytest.mark.parametrize("seed", [1, 2])
def test_away_from_equilibrium_the_gap_is_that_of_the_matrix_though_no_atom_is_a_best_response(seed):
    p, q = torch.tensor([0.1, 0.6, 0.1, 0.2]).double(), torch.tensor([0.7, 0.2, 0.1]).double()
    profile = Profile(mixed([[0.1, 0.6, 0.1, 0.2]], [1.0]), mixed([[0.7, 0.2, 0.1]], [1.0]))
    found = gap_of(profile, seed)
    exact = matrix_gap(PAYOFF, p, q)
    width = found.gap.high - found.gap.low
    assert found.gap.value == pytest.approx(exact, abs=width)
    assert width < 0.2 * exact
    assert found.critics.value == pytest.approx(float((p @ PAYOFF).max() - p @ PAYOFF @ q), abs=width)
    assert found.generators.value == pytest.approx(float(p @ PAYOFF @ q - (PAYOFF @ q).min()), abs=width)
    assert found.restricted == pytest.approx(0.0, abs=1e-12)  # one atom each: nothing to deviate to
    assert found.gap.value > found.at(0).value
    assert found.critics.value + found.generators.value == pytest.approx(found.gap.value)


def test_the_gap_is_not_below_the_restricted_gap_beyond_its_interval():
    for seed in range(5):
        rng = make_rng(seed)
        p, q = torch.rand(4, generator=rng).double(), torch.rand(3, generator=rng).double()
        found = gap_of(Profile(pure(p / p.sum()), pure(q / q.sum())), seed, (0, 5))
        assert found.gap.high >= found.restricted
        assert found.restricted == pytest.approx(
            float(((p / p.sum()) @ found.table).max() - (found.table @ (q / q.sum())).min())
        )
        assert found.solution.value == pytest.approx(solve_matrix_game(found.table).value)


def test_intervals_cover_the_truth_in_nineteen_of_twenty_cases():
    game = NoisyMatrix(PAYOFF)
    profile = Profile(mixed(torch.eye(4)[1:2], [1.0]), mixed(torch.eye(3)[:1], [1.0]))
    covered = 0
    for seed in range(60):
        starts = Point({VECTOR: torch.eye(4)[:1].double()}, {VECTOR: torch.eye(3)[1:2].double()})
        found = duality_gap(game, VECTOR_NETWORKS, profile, starts, matrix_draws(seed, 6), (0,), make_rng(0))
        covered += found.gap.low <= float(PAYOFF[1, 1] - PAYOFF[1, 0]) <= found.gap.high
    assert 50 <= covered <= 60


def test_starts_outside_the_domain_are_no_deviations():
    profile = Profile(pure(torch.tensor([0.0, 1.0, 0.0, 0.0])), pure(torch.tensor([1.0, 0.0, 0.0])))
    # Ten times the best column would win nine; brought back into the simplex it is the column itself.
    starts = Point({VECTOR: 10 * torch.eye(4)[1:2].double()}, {VECTOR: 10 * torch.eye(3)[1:2].double()})
    game = NoisyMatrix(PAYOFF)
    found = duality_gap(game, VECTOR_NETWORKS, profile, starts, matrix_draws(1), (0,), make_rng(0))
    assert found.gap.value == pytest.approx(float(PAYOFF[1, 1] - PAYOFF[1, 0]), abs=0.1)


class Cliff(AbstractVectorGame):
    """Phi = -exp(x): the minimiser is paid for diverging."""

    def __init__(self):
        super().__init__(Euclidean(1), Box([-1.0], [1.0]))

    def payoff(self, x, y):
        return -x.exp().squeeze(-1) + 0 * y.squeeze(-1)


def test_where_all_candidates_have_diverged_the_best_is_one_from_before():
    profile = Profile(mixed([[0.5]], [1.0]), mixed([[0.0]], [1.0]))
    starts = Point({VECTOR: torch.tensor([[1.0], [0.0]]).double()}, {VECTOR: torch.zeros(1, 1).double()})
    found = duality_gap(Cliff(), VECTOR_NETWORKS, profile, starts, matrix_draws(1, 2), (0, 1), make_rng(0), SGD(1e6))
    assert found.generators.value == pytest.approx(math.e - math.exp(0.5))


def test_responses_move_alone_and_as_one_candidate_would():
    game = Matrix(PAYOFF.tolist())
    opponents = Profile(mixed([[0.4, 0.3, 0.2, 0.1], [0.0, 0.5, 0.5, 0.0]], [0.3, 0.7]), mixed(torch.eye(3), [1.0] * 3))
    starts = {VECTOR: torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]).double()}
    run = functools.partial(train_responses, game, VECTOR_NETWORKS, opponents, Player.CRITIC)
    draw = functools.partial(lambda players: matrix_batch(make_rng(0), 2))
    both = run(starts, SGD(0.1), 1, draw, make_rng(0))[VECTOR]
    slope = (torch.tensor([0.3, 0.7]).double() @ opponents.generators.params[VECTOR]) @ PAYOFF
    expected = Simplex(3).project(starts[VECTOR] + 0.1 * slope)
    torch.testing.assert_close(both, expected)
    alone = run({VECTOR: starts[VECTOR][1:]}, Adam(0.05), 3, draw, make_rng(0))[VECTOR]
    together = run(starts, Adam(0.05), 3, draw, make_rng(0))[VECTOR]
    torch.testing.assert_close(together[1:], alone)
    torch.testing.assert_close(run(starts, SGD(0.1), 0, draw, make_rng(0)), starts)


def test_starts_are_the_first_atoms_in_order_the_same_perturbed_in_proportion_and_fresh_ones():
    params = {"w": torch.tensor([[[1.0, -1.0]], [[0.0, 0.0]], [[10.0, 10.0]]]), "b": torch.zeros(3, 2)}
    params["s"] = torch.tensor([3.0, 4.0, 5.0])  # one number per particle
    fresh = {"w": torch.full((2, 1, 2), 7.0), "b": torch.ones(2, 2), "s": torch.ones(2)}
    starts = make_starts(params, torch.tensor([2, 0, 1]), 2, 0.1, fresh, make_rng(3))
    assert torch.equal(starts["w"][:2], params["w"][[2, 0]])
    assert torch.equal(starts["w"][4:], fresh["w"])
    moved = (starts["w"][2:4] - params["w"][[2, 0]]).abs()
    assert float(moved[0].max()) < 4
    assert float(moved[1].max()) < 0.4
    assert float(moved.min()) > 0
    assert torch.equal(starts["b"][:4], torch.zeros(4, 2))  # relative to nothing is nothing
    many = make_starts(params, torch.tensor([2, 0, 1]), 5, 0.0, fresh, make_rng(3))
    assert torch.equal(many["w"], joined(params, params, params, fresh)["w"][[2, 0, 1, 2, 0, 1, 2, 0, 9, 10]])


@pytest.mark.parametrize(
    ("game", "bounded"),
    [
        (Wasserstein(Unconstrained()), False),
        (Wasserstein(WeightClipping()), True),
        (Wasserstein(GradientPenalty()), True),
        (Wasserstein(SpectralNormalization()), True),
        (Hinge(), True),
        (NonSaturating(), True),
        (Matrix([[1.0, 2.0]]), True),
        (SaddleQuadratic(0.5), False),
    ],
)
def test_games_say_whether_critics_win_without_bound(game, bounded):
    assert game.bounded_above is bounded


# ---------------------------------------------------------------------- networks


def networks():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Networks(functions_of(MLPGenerator((2,), 2, 8, 1)), functions_of(MLPCritic((2,), 16, 2)))


def generators_at(centres, spread):
    """Affine generators: normal samples around centres."""
    count = len(centres)
    fresh = newly_made(lambda: MLPGenerator((2,), 2, 8, 1), count, 1, torch.device("cpu"))
    last = max(name for name in fresh if name.endswith("bias"))
    scaled = {name: leaf * (spread if name == last.replace("bias", "weight") else 1) for name, leaf in fresh.items()}
    return scaled | {last: torch.tensor(centres)}


MODES = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]


def gan_batch(rng, generators, samples=48):
    which = torch.randint(3, (samples,), generator=rng)
    real = torch.tensor(MODES)[which] + 0.1 * torch.randn(samples, 2, generator=rng)
    latent = torch.randn(generators, samples, 2, generator=rng)
    return Batch(
        real.unsqueeze(0), latent, real.expand(generators, -1, -1), torch.rand(generators, samples, generator=rng)
    )


def gan_gap(centres, game):
    profile = Profile(
        make_population(generators_at(centres, 0.1)),
        make_population(newly_made(lambda: MLPCritic((2,), 16, 2), 2, 5, torch.device("cpu"))),
    )
    starts = Point(
        newly_made(lambda: MLPGenerator((2,), 2, 8, 1), 2, 6, torch.device("cpu")),
        newly_made(lambda: MLPCritic((2,), 16, 2), 3, 7, torch.device("cpu")),
    )
    rng = make_rng(1)
    draws = GapDraws(
        lambda players: gan_batch(rng, len(centres)),
        [gan_batch(make_rng(2), 1) for _ in range(3)],
        [gan_batch(make_rng(3 + index), 1) for index in range(12)],
    )
    return duality_gap(game, networks(), profile, starts, draws, (0, 60), make_rng(0), Adam(1e-2, 0.5, 0.9))


@pytest.mark.parametrize("game", [Wasserstein(GradientPenalty(1.0, one_sided=True)), NonSaturating()], ids=["W", "NS"])
def test_a_collapsed_mixture_is_further_from_equilibrium_than_one_on_the_data(game):
    collapsed, covering = gan_gap([MODES[0]] * 3, game), gan_gap(MODES, game)
    assert collapsed.critics.low > covering.critics.high
    assert collapsed.gap.low > covering.gap.value
    assert covering.gap.value > covering.restricted


def test_payoffs_less_penalty_are_what_the_reference_says_pair_by_pair():
    game, nets = Wasserstein(GradientPenalty(0.8, 0.3)), networks()
    profile = Profile(
        make_population(generators_at(MODES, 0.4)),
        make_population(newly_made(lambda: MLPCritic((2,), 16, 2), 2, 5, torch.device("cpu"))),
    )
    batch = gan_batch(make_rng(0), 3)
    table = regularised_payoffs(game, nets, profile, batch)
    for k in range(3):
        alone = make_population(
            {name: leaf.unsqueeze(0) for name, leaf in particle(profile.generators.params, k).items()}
        )
        own = Batch(batch.real, batch.latent[k : k + 1], batch.anchor[k : k + 1], batch.mix[k : k + 1])
        seen = feedback_reference(game, nets, Profile(alone, profile.critics), own, CRITICS)
        torch.testing.assert_close(table[k], -seen.critic_losses)
        assert bool(
            (feedback_reference(game, nets, Profile(alone, profile.critics), own, NOBODY).values[0] > table[k]).all()
        )


def test_promising_atoms_come_in_the_order_of_their_payoffs():
    game = Matrix(PAYOFF.tolist())
    profile = Profile(mixed(torch.eye(4), [0.1, 0.2, 0.3, 0.4]), mixed(torch.eye(3), [0.5, 0.3, 0.2]))
    order = promising_atoms(game, VECTOR_NETWORKS, profile, Player.GENERATOR, [matrix_batch(make_rng(0))])
    assert order.tolist() == (PAYOFF @ torch.tensor([0.5, 0.3, 0.2]).double()).argsort().tolist()
    order = promising_atoms(game, VECTOR_NETWORKS, profile, Player.CRITIC, [matrix_batch(make_rng(0))])
    assert order.tolist() == (torch.tensor([0.1, 0.2, 0.3, 0.4]).double() @ PAYOFF).argsort(descending=True).tolist()


# ---------------------------------------------------------------------- bad input


def test_what_cannot_be_searched_is_refused():
    profile = Profile(mixed([[1.0, 0, 0, 0]], [1.0]), mixed([[1.0, 0, 0]], [1.0]))
    starts, draws = Point(profile.generators.params, profile.critics.params), matrix_draws(0, 2)
    call = functools.partial(duality_gap, rng=make_rng(0))
    game = NoisyMatrix(PAYOFF)
    with pytest.raises(InvalidInputError, match="can win without bound, so its duality gap is infinite"):
        call(Wasserstein(Unconstrained()), VECTOR_NETWORKS, profile, starts, draws, (0,))
    with pytest.raises(InvalidInputError, match="2 score batches at least, found 1"):
        call(game, VECTOR_NETWORKS, profile, starts, draws._replace(score=draws.score[:1]), (0,))
    with pytest.raises(InvalidInputError, match="a batch of draws at least, found none"):
        call(game, VECTOR_NETWORKS, profile, starts, draws._replace(search=[]), (0,))
    for marks in ((), (1, 2), (0, 3, 3)):
        with pytest.raises(InvalidInputError, match="must increase from 0"):
            call(game, VECTOR_NETWORKS, profile, starts, draws, marks)
    with pytest.raises(InvalidInputError, match="at least 1 update, found 0"):
        marks_of(0)
    with pytest.raises(InvalidInputError, match="at least 0 steps, found -1"):
        train_responses(
            game, VECTOR_NETWORKS, profile, Player.CRITIC, starts.critics, SGD(0.1), -1, draws.train, make_rng(0)
        )
    order = torch.tensor([0])
    with pytest.raises(InvalidInputError, match="at least 1 start, found 0"):
        make_starts(starts.critics, order, 0, 0.1, starts.critics, make_rng(0))
    with pytest.raises(InvalidInputError, match=r"at least 0, found -0\.1"):
        make_starts(starts.critics, order, 1, -0.1, starts.critics, make_rng(0))
    assert marks_of(1) == (0, 1, 2, 3, 4)
    assert marks_of(200) == (0, 50, 100, 200, 400, 600, 800)
