"""Nikaido-Isoda gaps: zero at known equilibria, closed forms elsewhere, all kinds of domains."""

import math

import pytest
import torch

from mixnash.core.domains import Ball, Box, Simplex, Sphere, Torus
from mixnash.core.errors import InvalidInputError, NonFiniteError
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.forsaken import Forsaken
from mixnash.core.games.known import KNOWN_GAMES
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.polar import PolarGame
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.core.population import make_population
from mixnash.core.types import Profile
from mixnash.equilibrium.linear_program import matrix_gap
from mixnash.equilibrium.nikaido_isoda import nikaido_isoda
from mixnash.equilibrium.search import Effort, minimise, refine
from problems import DOUBLE, make_rng, normal, vectors

ATOMIC = {one.name: one for one in KNOWN_GAMES if one.minimiser is not None}
BOX = Box([-1.5], [1.5])


class Formula(AbstractVectorGame):
    """A payoff written down in a test."""

    def __init__(self, formula, minimiser, maximiser=None):
        self.formula = formula
        super().__init__(minimiser, minimiser if maximiser is None else maximiser)

    def payoff(self, x, y):
        return self.formula(x, y)


def squared_distance(x, y):
    return (x - y).square().sum(-1)


@pytest.mark.parametrize("name", ATOMIC)
def test_known_equilibria_have_no_gap(name):
    known = ATOMIC[name]
    found = nikaido_isoda(known.game, Profile(known.minimiser, known.maximiser))
    assert found.value == pytest.approx(known.value, abs=1e-12)
    assert found.gap == found.highest - found.lowest
    # The atoms of the degenerate Fourier game are written with 8 digits.
    assert -1e-14 <= found.gap <= (1e-7 if name == "random_fourier_o2_s1" else 1e-13)


def test_the_stationary_point_of_forsaken_is_far_from_equilibrium():
    profile = Profile(vectors([0.07802666873846]), vectors([0.41193385136582]))
    assert nikaido_isoda(Forsaken(0.45, BOX, BOX), profile).gap == pytest.approx(0.550042, abs=1e-6)


@pytest.mark.parametrize("per_axis", [40, 2001])
def test_small_gaps_are_seen_exactly(per_axis):
    """Payoff x^2 - 2 y^2 at (a, b): the players gain a^2 and 2 b^2. The minimum lies between the grid's points."""
    game = Formula(lambda x, y: ((x - 0.1234) ** 2 - 2 * (y - 0.4321) ** 2).squeeze(-1), BOX)
    found = nikaido_isoda(game, Profile(vectors([0.1234 + 1e-3]), vectors([0.4321 - 2e-3])), per_axis=per_axis)
    assert found.gap == pytest.approx(1e-6 + 8e-6, abs=1e-12)
    assert found.best_minimiser.item() == pytest.approx(0.1234, abs=1e-8)
    assert found.best_maximiser.item() == pytest.approx(0.4321, abs=1e-8)


def test_mixtures_are_averaged_with_their_weights():
    """(x - y)^2 against y = -1, 1 of weights 1/4, 3/4: mean 1/2, variance 3/4."""
    profile = Profile(vectors([0.0], [0.5], weights=[0.2, 0.8]), vectors([-1.0], [1.0], weights=[0.25, 0.75]))
    box = Box([-1.0], [1.0])
    found = nikaido_isoda(Formula(squared_distance, box), profile)
    assert found.lowest == pytest.approx(0.75)
    assert found.best_minimiser.item() == pytest.approx(0.5)
    assert found.highest == pytest.approx(0.2 + 0.8 * 2.25)
    assert found.best_maximiser.item() == -1
    assert found.value == pytest.approx(0.25 * (0.2 + 0.8 * 2.25) + 0.75 * (0.2 + 0.8 * 0.25))


def test_the_deeper_of_two_nearly_equal_wells_is_found():
    """Between grid points the wells' depths, which differ by 1e-6, are seen wrong by 1e-4 and more."""

    def wells(x, y):
        shape = 400 * ((x - 0.21117) * (x + 0.69841)).square()
        return (shape + 1e-6 * (x > 0) + 0 * y).squeeze(-1)

    found = nikaido_isoda(Formula(wells, Box([-1.0], [1.0])), Profile(vectors([0.3]), vectors([0.0])), per_axis=101)
    assert found.lowest == pytest.approx(0, abs=1e-12)
    assert found.best_minimiser.item() == pytest.approx(-0.69841, abs=1e-6)


@pytest.mark.parametrize(
    ("domain", "far"),
    [
        (Ball(2, 1.5), 1.5),
        (Ball(4, 1.5), 1.5),
        (Box([-2.0, -1.0], [1.0, 0.5]), math.sqrt(5)),
        (Box([-2.0, -1.0, 0.0], [1.0, 0.5, 2.0]), 3.0),
        (Sphere(2, 1.5), 1.5),
        (Sphere(3, 1.5), 1.5),
    ],
    ids=["disc", "4-ball", "rectangle", "3-box", "circle", "2-sphere"],
)
def test_the_farthest_and_nearest_points_of_domains_are_found(domain, far):
    """Against the origin: |x|^2 between the nearest and the farthest point of the domain."""
    zero = make_population({"vector": torch.zeros(1, domain.dim, dtype=DOUBLE)})
    inside = make_population({"vector": domain.project(0.3 * normal(1, domain.dim))})
    found = nikaido_isoda(Formula(squared_distance, domain), Profile(zero, zero), rng=make_rng(1))
    assert found.highest == pytest.approx(far**2, abs=1e-10)
    nearest = 1.5 if isinstance(domain, Sphere) else 0.0
    assert found.lowest == pytest.approx(nearest**2, abs=1e-10)
    moved = nikaido_isoda(Formula(squared_distance, domain), Profile(zero, inside), rng=make_rng(1))
    assert moved.lowest == pytest.approx(0, abs=1e-10)
    torch.testing.assert_close(moved.best_minimiser, inside.params["vector"][0], rtol=0, atol=1e-5)


def test_the_seam_of_a_torus_is_no_wall():
    """The minimum of -cos 2 pi (x - y) against y = 0 is approached across the seam from x = 0.97."""
    game = Formula(lambda x, y: -torch.cos(2 * math.pi * (x - y)).squeeze(-1), Torus(1))
    found = refine(
        lambda x: game.payoff(x, torch.full((1, 1), 0.013, dtype=DOUBLE)), Torus(1), torch.tensor([[0.97]]).double(), 30
    )
    assert found.values.item() == pytest.approx(-1, abs=1e-14)
    assert found.points.item() == pytest.approx(0.013, abs=1e-7)


def test_a_planar_torus_is_searched_to_rounding():
    target = torch.tensor([0.123, 0.987], dtype=DOUBLE)
    game = Formula(lambda x, y: -torch.cos(2 * math.pi * (x - target)).sum(-1) + 0 * y.sum(-1), Torus(2))
    found = nikaido_isoda(game, Profile(vectors([0.5, 0.5]), vectors([0.5, 0.5])))
    assert found.lowest == pytest.approx(-2, abs=1e-12)
    torch.testing.assert_close(found.best_minimiser, target, rtol=0, atol=1e-7)


def test_linear_payoffs_on_simplices_are_exact_in_any_dimension():
    payoff = normal(30, 40)
    row, column = Simplex(30).project(normal(1, 30, key=1)), Simplex(40).project(normal(1, 40, key=2))
    profile = Profile(make_population({"vector": row}), make_population({"vector": column}))
    found = nikaido_isoda(Matrix(payoff.tolist()), profile, starts=16, rng=make_rng(2))
    assert found.gap == pytest.approx(matrix_gap(payoff, row[0], column[0]), abs=1e-13)
    assert found.best_minimiser.max() == 1


def test_curved_payoffs_on_a_simplex_are_minimised_inside():
    """|x - c|^2 with c in the simplex: 0 at c; with c outside: the projection's distance."""
    inside = torch.tensor([[0.2, 0.5, 0.3]], dtype=DOUBLE)
    outside = torch.tensor([[1.2, -0.3, 0.4]], dtype=DOUBLE)
    for target in (inside, outside):
        nearest = Simplex(3).project(target)
        found = minimise(
            lambda x, c=target: squared_distance(x, c), Simplex(3), Effort(), make_rng(3), nearest.new_empty(0, 3)
        )
        assert found.values[0].item() == pytest.approx(squared_distance(nearest, target).item(), abs=1e-13)


def test_the_players_own_atoms_are_candidates():
    """A needle that no grid meets: only the atom that sits in it knows."""
    needle = Formula(lambda x, y: (-torch.exp(-((x - 0.12345) * 1e6).square()) + 0 * y).squeeze(-1), BOX)
    lowest = [nikaido_isoda(needle, Profile(vectors([at]), vectors([0.0]))).lowest for at in (0.5, 0.12345)]
    assert lowest == [pytest.approx(0), pytest.approx(-1)]


def test_a_payoff_that_ignores_a_player_is_no_obstacle():
    game = Formula(lambda x, y: (y.square() + torch.zeros_like(x)).squeeze(-1), BOX)
    found = nikaido_isoda(game, Profile(vectors([0.3]), vectors([1.5])))
    assert (found.lowest, found.highest, found.gap) == (2.25, 2.25, 0.0)


def test_points_without_derivatives_are_no_obstacle():
    """Infinite slopes at the minimum, and at an atom."""
    game = Formula(lambda x, y: ((x - 0.5).abs().sqrt() + 0 * y).squeeze(-1), BOX)
    found = nikaido_isoda(game, Profile(vectors([0.5], [0.4], weights=[0.25, 0.75]), vectors([0.0])))
    assert found.lowest == 0
    assert found.gap == pytest.approx(0.75 * 0.1**0.5)


def test_gradients_switched_off_outside_make_no_difference():
    known = ATOMIC["bell_gauss_1"]
    profile = Profile(known.minimiser, vectors([0.8], [-0.8]))
    with torch.no_grad():
        inside = nikaido_isoda(known.game, profile)
    assert inside.gap == nikaido_isoda(known.game, profile).gap


def test_single_precision_profiles_are_examined_in_double():
    profile = Profile(
        make_population({"vector": torch.tensor([[0.1]])}), make_population({"vector": torch.tensor([[-1.0], [1.0]])})
    )
    game = Formula(squared_distance, Box([-1.0], [1.0]))
    assert nikaido_isoda(game, profile).gap == pytest.approx(0.1**2 + 2 * 0.1, abs=1e-8)


@pytest.mark.parametrize(
    ("game", "dim", "arguments", "message"),
    [
        (Forsaken(), 1, {}, "can be neither sampled nor searched"),
        (PolarGame(1.0, BOX, BOX), 1, {}, "PolarGame is not zero-sum"),
        (Formula(squared_distance, Ball(3)), 3, {}, "more than two dimensions"),
        (Formula(squared_distance, BOX), 1, {"per_axis": 1}, "at least 2 points per axis.*found 1, 4096, 40 and 16"),
        (Formula(lambda x, y: x - y, BOX), 1, {}, r"one number per pair, of shape \(2003, 1\), found \(2003, 1, 1\)"),
        (Bilinear([[1.0]], None, None, BOX), 1, {}, "can be neither sampled nor searched"),
    ],
)
def test_what_cannot_be_searched_is_refused(game, dim, arguments, message):
    one = make_population({"vector": torch.zeros(1, dim, dtype=DOUBLE)})
    with pytest.raises(InvalidInputError, match=message):
        nikaido_isoda(game, Profile(one, one), **arguments)


def test_batches_of_games_are_refused():
    batch = vectors([0.0])._replace(params={"vector": torch.zeros(2, 1, 1, dtype=DOUBLE)})
    with pytest.raises(InvalidInputError, match="one by one"):
        nikaido_isoda(Formula(squared_distance, BOX), Profile(batch, batch))


def test_a_payoff_that_is_not_finite_is_named_with_its_point():
    game = Formula(lambda x, y: (1 / (x - 1.5) + y).squeeze(-1), BOX)
    with pytest.raises(NonFiniteError, match=r"not finite against the point \[1.5\]"):
        nikaido_isoda(game, Profile(vectors([0.0]), vectors([0.0])))
