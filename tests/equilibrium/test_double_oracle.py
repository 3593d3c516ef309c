"""Continuous games solved by double oracle: values, gaps and atoms of all known games."""

import pytest
import torch

from mixnash.core.domains import Ball, Box
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.forsaken import Forsaken
from mixnash.core.games.fourier import FourierGame
from mixnash.core.games.known import KNOWN_GAMES
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.squared_distance import SquaredDistance
from mixnash.core.population import size, weights
from mixnash.core.types import Profile
from mixnash.equilibrium.double_oracle import solve_by_double_oracle
from mixnash.equilibrium.linear_program import solve_matrix_game
from mixnash.equilibrium.nikaido_isoda import nikaido_isoda
from mixnash.equilibrium.polish import polish
from mixnash.equilibrium.search import Effort
from problems import make_rng, normal, vectors

SMOOTH = {one.name: one for one in KNOWN_GAMES if one.name not in ("silent_duel", "exp_cosine_4")}


def assert_same_atoms(found, known):
    """Positions and weights agree, in whatever order."""
    mine, theirs = (torch.cat([one.params["vector"], weights(one).unsqueeze(1)], 1) for one in (found, known))
    assert size(found) == size(known)
    assert float(torch.cdist(theirs, mine).amin(1).max()) < 1e-5


@pytest.mark.parametrize("name", SMOOTH)
def test_known_games_are_solved(name):
    known = SMOOTH[name]
    found = solve_by_double_oracle(known.game, tolerance=1e-6, effort=Effort(per_axis=501))
    assert found.gap <= 1e-6
    # Laws with a density are met by finitely many atoms up to the tolerance only.
    assert found.value == pytest.approx(known.value, abs=1e-6 if known.minimiser is None else 1e-12)
    assert nikaido_isoda(known.game, found.profile).gap == pytest.approx(found.gap, abs=1e-9)
    if name == "ratio_game_exotic":  # one of its equilibria is pure; mixtures of vertices are others
        return
    for mine, theirs, unique in (
        (found.profile.generators, known.minimiser, known.minimiser_unique),
        (found.profile.critics, known.maximiser, known.maximiser_unique),
    ):
        if theirs is not None and unique:
            assert_same_atoms(mine, theirs)


@pytest.mark.parametrize("dim", [2, 3])
def test_balls_are_solved(dim):
    found = solve_by_double_oracle(SquaredDistance(dim, Ball(dim, 2.0), Ball(dim, 2.0)), rng=make_rng(dim))
    assert found.value == pytest.approx(4)
    mean = weights(found.profile.critics) @ found.profile.critics.params["vector"]
    assert float(mean.norm()) < 1e-5


def test_a_matrix_game_on_simplices_has_the_value_of_its_linear_program():
    payoff = normal(8, 5)
    found = solve_by_double_oracle(Matrix(payoff.tolist()), rng=make_rng(1))
    assert found.value == pytest.approx(solve_matrix_game(payoff).value, abs=1e-9)
    assert found.gap <= 1e-9


@pytest.mark.parametrize("seed", [9])
def test_random_fourier_games_are_solved_to_rounding(seed):
    found = solve_by_double_oracle(FourierGame.random(3, seed))
    assert -1e-12 <= found.gap <= 1e-12


def test_few_rounds_leave_an_honest_gap():
    box = Box([-1.5], [1.5])
    found = solve_by_double_oracle(Forsaken(0.45, box, box), tolerance=1e-12, max_rounds=1)
    assert found.gap > 0.1
    assert nikaido_isoda(Forsaken(0.45, box, box), found.profile).gap == pytest.approx(found.gap, abs=1e-9)


def test_polishing_takes_rough_atoms_to_the_equilibrium():
    known = SMOOTH["bell_gauss_2"]
    rough = Profile(
        vectors([-0.98], [0.03], [0.97], weights=[0.35, 0.3, 0.35]),
        vectors([-0.7], [0.02], [0.75], weights=[0.4, 0.2, 0.4]),
    )
    sharp = polish(known.game, rough)
    assert nikaido_isoda(known.game, rough).gap > 1e-3
    assert nikaido_isoda(known.game, sharp).gap < 1e-12
    torch.testing.assert_close(sharp.generators.params["vector"], known.minimiser.params["vector"], atol=1e-8, rtol=0)


def test_polishing_gives_up_where_a_weight_turns_negative():
    """The maximiser wants +-1; an atom at 0.9 that is to win as much needs a negative weight."""
    rough = Profile(vectors([0.2]), vectors([-1.0], [0.9], [1.0], weights=[0.3, 0.3, 0.4]))
    assert polish(SMOOTH["guess_location"].game, rough) is None


def test_large_supports_are_not_polished():
    points = torch.linspace(0, 1, 60).unsqueeze(1).tolist()
    assert polish(SMOOTH["exp_cosine_1"].game, Profile(vectors(*points), vectors(*points))) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tolerance": 0.0}, "tolerance of double oracle must be positive, found 0.0"),
        ({"max_rounds": 0}, "at least one round, found 0"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        solve_by_double_oracle(SMOOTH["parrilo_mixed"].game, **arguments)


def test_unbounded_games_are_refused():
    with pytest.raises(InvalidInputError, match="can be neither sampled nor searched"):
        solve_by_double_oracle(Forsaken())
