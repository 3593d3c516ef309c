"""Games on vectors: payoffs by hand, stationary points and eigenvalues of the cards."""

import math

import pytest
import torch

import plugins
from mixnash.core.games.absolute_distance import AbsoluteDistance
from mixnash.core.games.almost_bilinear import AlmostBilinear
from mixnash.core.games.bell_gaussian import BellGaussian
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.chase_cosine import ChaseCosine
from mixnash.core.games.double_well import DoubleWell
from mixnash.core.games.exponential_cosine import ExponentialCosine
from mixnash.core.games.forsaken import Forsaken
from mixnash.core.games.forsaken_swapped import ForsakenSwapped
from mixnash.core.games.fourier_counterexample import FourierCounterexample
from mixnash.core.games.global_forsaken import GlobalForsaken
from mixnash.core.games.gross_rational import GrossRational
from mixnash.core.games.letcher import Letcher
from mixnash.core.games.monkey_saddle import MonkeySaddle
from mixnash.core.games.parrilo import Parrilo
from mixnash.core.games.polar import PolarGame
from mixnash.core.games.polynomial import PolynomialGame
from mixnash.core.games.ratio import Ratio
from mixnash.core.games.saddle_quadratic import SaddleQuadratic
from mixnash.core.games.separable_wells import SeparableWells
from mixnash.core.games.silent_duel import SilentDuel
from mixnash.core.games.squared_distance import SquaredDistance
from mixnash.core.games.vectors import VECTOR
from mixnash.core.games.weak_minty_quadratic import WeakMintyQuadratic
from mixnash.core.games.weird_saddle import WeirdSaddle
from mixnash.core.joint import field
from mixnash.core.types import BOTH, Player, Point, Profile
from mixnash.core.vector_oracle import VectorOracle
from problems import DOUBLE, normal, vectors


def at(game, x, y):
    return float(game.payoff(torch.tensor([x], dtype=DOUBLE), torch.tensor([y], dtype=DOUBLE)))


def field_at(game, x, y):
    profile = Profile(vectors([x]), vectors([y]))
    seen = field(VectorOracle(game).feedback(profile, BOTH))
    return float(seen.generators[VECTOR]), float(seen.critics[VECTOR])


def jacobian(game, x, y):
    """J, column by column through the pushforward and row by row through the pullback."""
    linear = VectorOracle(game).linearise(Profile(vectors([x]), vectors([y])))
    units = [Point({VECTOR: torch.tensor([[a]])}, {VECTOR: torch.tensor([[b]])}) for a, b in torch.eye(2).double()]
    columns = torch.stack([torch.cat([one[VECTOR][0] for one in linear.pushforward(unit)]) for unit in units], dim=1)
    rows = torch.stack([torch.cat([one[VECTOR][0] for one in linear.pullback(unit)]) for unit in units])
    torch.testing.assert_close(columns, rows)
    return columns


# ---------------------------------------------------------------------- payoffs


WELLS = SeparableWells([[2.0]], [[1.0], [-1.0]], [3.0, 1.0], [[0.5]], [1.0])  # a = 0.5, b = 0.5


@pytest.mark.parametrize(
    ("game", "x", "y", "expected"),
    [
        (SaddleQuadratic(3.0), 2.0, -1.0, 4 - 1 - 6),
        (MonkeySaddle(), 2.0, -1.0, 8 - 6),
        (WeirdSaddle(), 2.0, -1.0, -2 - 4),
        (AlmostBilinear(0.4), 2.0, -1.0, -2 + 0.4 * (1 / 2 - 1 / 4)),
        (AlmostBilinear(0.4, Player.GENERATOR), 2.0, -1.0, -2 + 0.4 * (2 - 4)),
        (Forsaken(), 2.0, -1.0, -2 * 1.45 + (1 - 8 + 64 / 6) - (1 / 4 - 1 / 2 + 1 / 6)),
        (ForsakenSwapped(), 2.0, -1.0, -1.5 + (1 / 4 - 1 / 2 + 1 / 6) - (1 - 8 + 64 / 6)),
        (GlobalForsaken(), 2.0, -1.0, -2 + (4 / 3 - 16 / 3 + 128 / 21) - (2 / 21)),
        (Letcher(), 2.0, -1.0, -2 + (-2 + 4) - (-1 / 2 + 1 / 4)),
        (DoubleWell(3.0, 0.5), 2.0, -0.5, -3 + 0.5 * 9 - 0.5 * (3 / 4) ** 2),
        (PolarGame(), 2.0, -1.0, 2.0),
        (WeakMintyQuadratic(5.0, 0.6), 2.0, -1.0, 4 * -2 - 1.5 * 3),
        (AbsoluteDistance(), 0.25, -0.5, 0.75),
        (Parrilo(), 0.5, -1.0, -2.5 - 2 + 0.5 - 0.5),
        (BellGaussian(2.0), 0.25, -0.75, math.exp(-2)),
        (GrossRational(), 0.5, 0.25, 1.5 * 1.25 * 0.875 / 1.125**2),
        (SilentDuel(), 0.5, 0.75, 0.25 - 0.375),
        (SilentDuel(), 0.75, 0.5, -0.25 + 0.375),
        (SilentDuel(), 0.75, 0.75, 0.0),
        (ExponentialCosine(3.0), 0.5, 0.25 - 1 / 12, math.exp(-1.5)),
        (ChaseCosine(), 0.5, 1 / 3, 0.5),
        (FourierCounterexample(), 1 / 24, 1 / 8, 0.5 + 1 + 1.0),
        (WELLS, 2.0, 3.0, 1.5 * 2 * 2.5 + 1 * 9 - 6.25),
        (PolynomialGame([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), 2.0, -1.0, 1 - 2 + 6 - 8 + 20 - 24),
        (PolynomialGame([[1.5]]), 2.0, -1.0, 1.5),
        (PolynomialGame([[0.0, 0.0, 0.0, 2.0]]), 2.0, -1.0, -2.0),
    ],
)
def test_a_payoff_is_the_number_computed_by_hand(game, x, y, expected):
    assert at(game, x, y) == pytest.approx(expected, rel=1e-14, abs=1e-14)


def test_payoffs_of_vectors_are_the_numbers_computed_by_hand():
    half, third = torch.tensor([0.5, 0.5], dtype=DOUBLE), torch.tensor([1 / 3, 2 / 3], dtype=DOUBLE)
    assert float(SquaredDistance(2).payoff(half, third)) == pytest.approx(2 / 36)
    ratio = Ratio([[1.0, 2.0], [3.0, 4.0]], [[1.0, 1.0], [2.0, 5.0]])
    assert float(ratio.payoff(half, third)) == pytest.approx((4 / 2 / 3 + 2 * 6 / 2 / 3) / (3 / 2 / 3 + 2 * 6 / 2 / 3))


@pytest.mark.parametrize("plugin", plugins.VECTOR_GAMES, ids=lambda one: one.__name__)
def test_a_payoff_broadcasts_and_keeps_its_precision(plugin):
    game = plugins.VECTOR_GAMES[plugin]()
    x, y = (d.project(normal(n, d.dim, key=5)) for n, d in ((3, game.minimiser), (4, game.maximiser)))
    table = game.payoff(x.unsqueeze(1), y)
    single = torch.stack([torch.stack([game.payoff(a, b) for b in y]) for a in x])
    torch.testing.assert_close(table, single)
    rough = game.payoff(x.float().unsqueeze(1), y.float())
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough.double(), table, rtol=1e-3, atol=1e-4)


SMOOTH = [one for one in plugins.VECTOR_GAMES if one not in (AbsoluteDistance, SilentDuel)]


@pytest.mark.parametrize("plugin", SMOOTH, ids=lambda one: one.__name__)
def test_a_payoff_has_two_derivatives_in_general_and_where_a_coordinate_vanishes(plugin):
    game = plugins.VECTOR_GAMES[plugin]()
    for scale in (1.0, 0.0):
        x, y = (scale * normal(3, d.dim, key=6) for d in (game.minimiser, game.maximiser))
        if isinstance(game, Ratio):
            x, y = game.minimiser.project(x), game.maximiser.project(y)
        x.requires_grad_(), y.requires_grad_()
        assert torch.autograd.gradcheck(game.payoff, (x, y))
        assert torch.autograd.gradgradcheck(game.payoff, (x, y))


def test_double_derivatives_of_powers_are_finite_at_zero_in_both_directions():
    torch.testing.assert_close(
        jacobian(PolynomialGame([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]), 0.0, 0.0),
        torch.tensor([[14.0, 5.0], [-5.0, -6.0]], dtype=DOUBLE),
    )
    assert jacobian(GlobalForsaken(), 0.0, 0.0).tolist() == [[2 / 3, 1.0], [-1.0, 2 / 3]]


def test_a_polynomial_is_the_named_games_with_their_coefficients():
    parrilo = PolynomialGame([[0.0, 0.0, -2.0], [-1.0, 5.0, 0.0], [0.0, -2.0, 0.0]])
    x, y = normal(7, 1), normal(7, 1, key=1)
    torch.testing.assert_close(parrilo.payoff(x, y), Parrilo().payoff(x, y))


# ---------------------------------------------------------------------- stationary points

EPSILON_ROOT = math.sqrt(1 - 0.05**2)
STATIONARY = {
    "bilinear": (Bilinear([[1.0]]), 0.0, 0.0, 0.0, 1.0, 1e-12),
    "x^2 - y^2": (SaddleQuadratic(), 0.0, 0.0, 2.0, 0.0, 1e-12),
    "x^2 - y^2 + 3xy": (SaddleQuadratic(3.0), 0.0, 0.0, 2.0, 3.0, 1e-12),
    "monkey saddle": (MonkeySaddle(), 0.0, 0.0, 0.0, 0.0, 1e-12),
    "weird saddle": (WeirdSaddle(), 0.0, 0.0, 0.0, 1.0, 1e-12),
    "almost bilinear in x": (AlmostBilinear(0.1, Player.GENERATOR), 0.0, 0.0, 0.05, EPSILON_ROOT, 1e-12),
    "almost bilinear in y": (AlmostBilinear(0.1), 0.0, 0.0, -0.05, EPSILON_ROOT, 1e-12),
    "forsaken": (Forsaken(), 0.07802666873846, 0.41193385136582, 0.044746, 0.908028, 1e-6),
    "forsaken with roles swapped": (ForsakenSwapped(), 0.477185, 0.046019, 0.059834, 0.837034, 1e-6),
    "global forsaken": (GlobalForsaken(), 0.0, 0.0, 2 / 3, 1.0, 1e-12),
    "polar": (PolarGame(0.75), 0.0, 0.0, 9 * 0.75 / 16, 1.0, 1e-12),
    "weak Minty": (WeakMintyQuadratic(3.0, 1 / 3), 0.0, 0.0, -1.0, 2 * math.sqrt(2), 1e-12),
    "letcher": (Letcher(), 0.0, 0.0, -1.0, 1.0, 1e-12),
    "double well": (DoubleWell(1.5, 0.7), 0.0, 0.0, -2.8, 1.5, 1e-12),
}


@pytest.mark.parametrize(("game", "x", "y", "real", "imaginary", "tolerance"), STATIONARY.values(), ids=STATIONARY)
def test_the_field_vanishes_at_the_stationary_point_with_the_eigenvalues_of_the_card(
    game, x, y, real, imaginary, tolerance
):
    assert max(map(abs, field_at(game, x, y))) < tolerance
    values = torch.linalg.eigvals(jacobian(game, x, y))
    assert values.real.tolist() == pytest.approx([real, real], abs=tolerance)
    assert sorted(values.imag.tolist()) == pytest.approx([-imaginary, imaginary], abs=tolerance)


def test_forsaken_with_roles_swapped_is_the_payoff_with_names_exchanged_and_the_field_reversed_in_time():
    straight, swapped = Forsaken(0.37), ForsakenSwapped(0.37)
    for x, y in normal(5, 2).tolist():
        assert at(swapped, x, y) == pytest.approx(at(straight, y, x), abs=1e-12)
        v, w = field_at(straight, y, x), field_at(swapped, x, y)
        assert w == pytest.approx((-v[1], -v[0]), abs=1e-12)


def test_forsaken_loses_its_stable_point_at_the_offset_of_the_card():
    def real_part(offset):
        z = torch.tensor([0.078, 0.42], dtype=DOUBLE)
        game = Forsaken(offset)
        for _ in range(30):
            z = z - torch.linalg.solve(jacobian(game, *z.tolist()), torch.tensor(field_at(game, *z.tolist())).double())
        return float(torch.linalg.eigvals(jacobian(game, *z.tolist())).real.mean())

    assert real_part(0.4724040783) == pytest.approx(0, abs=1e-9)
    assert real_part(0.5) == pytest.approx(-0.059834, abs=1e-6)


def test_the_weird_saddle_is_stationary_on_its_hyperbola():
    for x in (0.3, -1.0, 2.0):
        y = 0.5 / x
        assert field_at(WeirdSaddle(), x, y) == pytest.approx((0, 0), abs=1e-15)
        values = sorted(torch.linalg.eigvals(jacobian(WeirdSaddle(), x, y)).real.tolist())
        assert values == pytest.approx(sorted([0, 2 * (x**2 - y**2)]), abs=1e-12)


def test_the_polar_game_has_its_field_and_two_circles_on_which_it_only_turns():
    game = PolarGame(0.6)
    for x, y in [*normal(4, 2).tolist(), [0.6, -0.8], [0.45, 0.6]]:
        s = x * x + y * y
        radial = 0.6 / 16 * (s - 1) * (16 * s - 9)
        assert field_at(game, x, y) == pytest.approx((radial * x - y, radial * y + x), abs=1e-12)
    assert field_at(game, 0.6, -0.8) == pytest.approx((0.8, 0.6))
    assert field_at(game, 0.45, 0.6) == pytest.approx((-0.6, 0.45))


def test_the_weak_minty_quadratic_has_its_constants_everywhere():
    game = WeakMintyQuadratic(3.0, 0.4)
    assert game.weak_minty == pytest.approx(-0.4 / 3)
    for z in normal(4, 2).tolist():
        v = field_at(game, *z)
        assert math.hypot(*v) == pytest.approx(3 * math.hypot(*z))
        assert v[0] * z[0] + v[1] * z[1] == pytest.approx(game.weak_minty * math.hypot(*v) ** 2)
