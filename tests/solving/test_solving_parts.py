"""Distances, outcomes, errors, folders: the parts of `mixnash solve` one by one."""

import math

import numpy as np
import pytest
import torch
from rich.console import Console

from mixnash.core.domains import Ball, Box, Euclidean, Simplex, Torus
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.extragradient_plus import ExtragradientPlus
from mixnash.core.dynamics.proximal_point import ProximalPoint
from mixnash.core.dynamics.reflected import Reflected
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.almost_bilinear import AlmostBilinear
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.chase_cosine import ChaseCosine
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.monkey_saddle import MonkeySaddle
from mixnash.core.games.polar import PolarGame
from mixnash.core.games.squared_distance import SquaredDistance
from mixnash.core.games.weak_minty_quadratic import WeakMintyQuadratic
from mixnash.core.games.weird_saddle import WeirdSaddle
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.sgd import SGD
from mixnash.core.rules.still import Still
from mixnash.core.schedules import Polynomial
from mixnash.core.types import Profile
from mixnash.solving.distances import distance, wasserstein1
from mixnash.solving.folder import new_folder
from mixnash.solving.gaps import gap_of
from mixnash.solving.history import take
from mixnash.solving.outcomes import Outcome, outcome_of
from mixnash.solving.pictures.choose import picture
from mixnash.solving.pictures.extent import extent, window_of
from mixnash.solving.pictures.plane import trajectories
from mixnash.solving.play import play
from mixnash.solving.problem import Problem
from mixnash.solving.readings import residual
from mixnash.solving.solve import solve
from mixnash.solving.starts.draws import UniformDraws
from mixnash.solving.starts.grid import Grid
from mixnash.solving.starts.points import Points
from mixnash.solving.step_sizes import unproven_steps
from problems import descend, frozen, make_rng, vectors

XY = Bilinear([[1.0]])


def problem(game=XY, start=None, dynamics=None, equilibrium=None, steps=1000, **more):
    start = Points([[1.0]], [[0.5]]) if start is None else start
    dynamics = descend(Extragradient, 0.1) if dynamics is None else dynamics
    return Problem("test", game, start, {"it": dynamics}, steps, equilibrium=equilibrium, **more)


# ---------------------------------------------------------------------- distances


def test_wasserstein_distance_on_the_line_is_the_area_between_the_distribution_functions():
    one = vectors([0.0], [1.0], [0.2], weights=[0.5, 0.2, 0.3])
    other = vectors([0.5], [0.1], weights=[0.6, 0.4])
    # Between 0 and 0.1 the functions differ by 0.5, then by 0.1 up to 0.2, 0.4 up to 0.5, and 0.2 up to 1.
    assert wasserstein1(one, other) == pytest.approx(0.05 + 0.01 + 0.12 + 0.1)
    assert wasserstein1(other, one) == pytest.approx(0.28)


def test_wasserstein_distance_to_one_atom_is_the_mean_distance_in_any_dimension():
    one = vectors([0.0, 0.0], [3.0, 4.0], weights=[0.3, 0.7])
    assert wasserstein1(one, vectors([0.0, 0.0])) == pytest.approx(3.5)
    assert wasserstein1(vectors([0.0, 0.0]), one) == pytest.approx(3.5)
    assert wasserstein1(one, one) is None


def test_wasserstein_distance_on_the_torus_goes_the_short_way_round():
    assert wasserstein1(vectors([0.9, 0.0]), vectors([0.1, 0.1]), True) == pytest.approx(math.sqrt(0.05))
    one, other = vectors([0.95], [0.5], weights=[0.6, 0.4]), vectors([0.05], [0.45], weights=[0.7, 0.3])
    # 0.6 go 0.1 across the end, 0.3 go 0.05 back, and 0.1 from 0.5 to 0.05.
    assert wasserstein1(one, other, True) == pytest.approx(0.06 + 0.015 + 0.045)
    assert wasserstein1(other, one, True) == pytest.approx(0.12)
    game = ChaseCosine()
    assert distance(game, Profile(vectors([0.9]), vectors([0.5])), Profile(vectors([0.2]), vectors([0.5]))) == (
        pytest.approx(0.3)
    )


def test_distance_joins_both_players_like_a_norm():
    found = Profile(vectors([1.0]), vectors([2.0], [4.0]))
    known = Profile(vectors([4.0]), vectors([-1.0]))
    assert distance(XY, found, known) == pytest.approx(math.hypot(3.0, 4.0))
    plane = SquaredDistance(2)
    assert distance(plane, *[Profile(vectors([0.1, 0.2], [0.0, 0.3]), vectors([0.1, 0.0]))] * 2) is None


def test_distance_on_a_matrix_game_compares_mean_strategies():
    game = Matrix([[-1.0, 1.0], [2.0, -1.0]])
    pure = vectors([1.0, 0.0], [0.0, 1.0], weights=[0.5, 0.5])
    known = Profile(vectors([0.6, 0.4]), vectors([0.4, 0.6]))
    assert distance(game, Profile(pure, vectors([0.4, 0.6])), known) == pytest.approx(math.sqrt(0.02))


# ---------------------------------------------------------------------- errors


def test_gap_of_a_matrix_game_is_exact_and_that_of_others_is_a_bound():
    game = Matrix([[-1.0, 1.0], [2.0, -1.0]])
    asked = problem(game, Points([[0.5, 0.5]], [[0.2, 0.8]]))
    gap = gap_of(asked, asked.profile)
    assert gap.exact
    assert gap.value == pytest.approx(0.5 - -0.4)
    asked = problem(SquaredDistance(), Points([[0.5]], [[0.0]]))
    gap = gap_of(asked, asked.profile)
    assert not gap.exact
    assert gap.value == pytest.approx(2.25)


@pytest.mark.parametrize("game", [XY, Bilinear([[1.0]], minimiser_domain=Box([-2.0], [2.0])), PolarGame(1.0)])
def test_there_is_no_gap_on_unbounded_domains_nor_without_zero_sum(game):
    asked = problem(game)
    assert gap_of(asked, asked.profile) is None


def test_residual_is_the_projected_step():
    domains = Box([-1.0], [1.0]), Box([-1.0], [1.0])
    asked = problem(Bilinear([[1.0]], minimiser_domain=domains[0], maximiser_domain=domains[1]))
    at = Profile(vectors([-0.9]), vectors([0.5]))  # x steps to -1, y to -0.4
    assert residual(asked, asked.exact_oracle(), at) == pytest.approx(math.hypot(0.1, 0.9))
    at = Profile(vectors([-0.9], [0.0], weights=[0.75, 0.25]), vectors([0.5]))
    mean = 0.75 * -0.9
    expected = math.sqrt(0.75 * 0.1**2 + 0.25 * 0.5**2 + mean**2)
    assert residual(asked, asked.exact_oracle(), at) == pytest.approx(expected)


def test_residual_on_the_torus_is_the_gradient():
    asked = problem(Bilinear([[3.0]], minimiser_domain=Torus(1), maximiser_domain=Torus(1)), Points([[0.9]], [[0.5]]))
    assert residual(asked, asked.exact_oracle(), asked.profile) == pytest.approx(3 * math.hypot(0.9, 0.5))


# ---------------------------------------------------------------------- outcomes


def outcome(game, step_size, kind=Simultaneous, steps=1000, record_every=1, start=(1.0, 0.5)):
    asked = problem(game, Points([[start[0]]], [[start[1]]]), descend(kind, step_size), None, steps)
    asked.record_every = record_every
    history = play(descend(kind, step_size), asked.oracle(), asked.profile, steps, make_rng(0), record_every)
    last = take(history.profiles, -1)
    return outcome_of(asked, history, gap_of(asked, last), residual(asked, asked.exact_oracle(), last))


def test_outcomes_without_a_cycle():
    assert outcome(XY, 0.1) == Outcome("diverges")
    assert outcome(XY, 0.5, Extragradient) == Outcome("converged")
    assert outcome(XY, 0.02, Extragradient) == Outcome("not yet")


@pytest.mark.parametrize("bounded", [True, False])
def test_point_without_gradient_away_from_equilibrium_is_a_trap(bounded):
    box = Box([-2.0], [2.0]) if bounded else None
    asked = problem(WeirdSaddle(box, box), Points([[0.5]], [[1.0]]), descend(Simultaneous, 0.1), ORIGIN, 5)
    (reading,) = solve(asked, Console(quiet=True)).readings
    assert reading.gradient_norm == 0
    assert reading.outcome == Outcome("trapped")
    asked = problem(WeirdSaddle(box, box), ORIGIN, descend(Simultaneous, 0.1), ORIGIN, 5)
    (reading,) = solve(asked, Console(quiet=True)).readings
    assert reading.outcome == Outcome("converged")


def test_bounded_game_tells_a_trap_without_a_known_equilibrium_and_others_get_the_benefit_of_the_doubt():
    box = Box([-2.0], [2.0])
    start, dynamics = Points([[0.5]], [[1.0]]), descend(Simultaneous, 0.1)
    outcomes = [
        solve(problem(game, start, dynamics, steps=5), Console(quiet=True)).readings[0].outcome
        for game in (WeirdSaddle(box, box), WeirdSaddle())
    ]
    assert outcomes == [Outcome("trapped"), Outcome("converged")]


def test_outcomes_are_told_in_a_few_words():
    assert str(Outcome("cycle", 1.41421, 125.6637)) == "cycle, radius 1.41, period 125.7"
    assert str(Outcome("diverged", step=12)) == "diverged by step 12"
    assert str(Outcome("not yet")) == "not yet"


@pytest.mark.parametrize("every", [1, 3])
def test_cycle_has_its_radius_and_its_period_in_steps(every):
    found = outcome(AlmostBilinear(0.1), 0.05, steps=1500, record_every=every, start=(1.41, 0.0))
    assert found.kind == "cycle"
    assert found.radius == pytest.approx(math.sqrt(2), abs=0.02)
    assert found.period == pytest.approx(2 * math.pi / 0.05, rel=0.005)


# ---------------------------------------------------------------------- step sizes


ORIGIN = Points([[0.0]], [[0.0]])


def test_steps_inside_the_proven_range_are_not_mentioned():
    assert unproven_steps(problem(equilibrium=ORIGIN, dynamics=descend(Extragradient, 0.99))) == []
    (sentence,) = unproven_steps(problem(equilibrium=ORIGIN, dynamics=descend(Extragradient, 1.01)))
    assert sentence.startswith("it: the step size 1.01 is outside the range from 0 to 1 that is proven to converge")


def test_steps_that_are_not_along_the_gradient_or_not_constant_are_not_judged():
    for rule in (Adam(2.0), SGD(Polynomial(2.0, 0.5))):
        for kind in (Extragradient, Reflected, ProximalPoint):
            dynamics = kind(frozen(rule), frozen(rule))
            assert unproven_steps(problem(equilibrium=ORIGIN, dynamics=dynamics)) == []


def test_one_player_alone_can_step_too_far():
    dynamics = Extragradient(frozen(SGD(0.1)), frozen(SGD(1.5)))
    assert "step size 1.5" in unproven_steps(problem(equilibrium=ORIGIN, dynamics=dynamics))[0]


def test_weak_minty_range_is_measured():
    game = WeakMintyQuadratic(2.0, 0.2, Box([-1.1], [1.1]), Box([-1.1], [1.1]))  # rho = -0.1
    inside = problem(game, equilibrium=ORIGIN, dynamics=ExtragradientPlus(0.45, 0.5))
    assert unproven_steps(inside) == []
    (sentence,) = unproven_steps(problem(game, equilibrium=ORIGIN, dynamics=ExtragradientPlus(0.3, 0.5)))
    assert "range from 0.4 to 0.5" in sentence
    assert "Lipschitz constant 2 and the weak-Minty constant -0.1." in sentence
    (sentence,) = unproven_steps(problem(game, equilibrium=ORIGIN, dynamics=ExtragradientPlus(0.3, 0.8)))
    assert sentence.startswith("it: no step size is proven to converge")


def test_without_a_known_pure_equilibrium_or_a_weak_minty_constant_nothing_is_said():
    far = descend(Extragradient, 5.0)
    assert unproven_steps(problem(dynamics=far)) == []
    assert unproven_steps(problem(equilibrium=Points([[0.0], [1.0]], [[0.0]]), dynamics=far)) == []
    plus = ExtragradientPlus(5.0, 0.5)
    assert unproven_steps(problem(MonkeySaddle(), equilibrium=ORIGIN, dynamics=plus)) == []


def test_constants_are_measured_in_more_dimensions_too():
    game = Bilinear([[0.0, 2.0], [-2.0, 0.0]], minimiser_domain=Ball(2), maximiser_domain=Ball(2))
    start, known = Points([[0.1, 0.2]], [[0.3, 0.0]]), Points([[0.0, 0.0]], [[0.0, 0.0]])
    (sentence,) = unproven_steps(problem(game, start, descend(Extragradient, 0.6), known))
    assert "range from 0 to 0.5 " in sentence


# ---------------------------------------------------------------------- starts


def test_draws_come_from_the_seed_and_fill_the_domain():
    first, again, other = (
        problem(SquaredDistance(), UniformDraws(200, 100), seed=seed).profile.generators.params["vector"]
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (200, 1)
    assert float(first.min()) < -0.9
    assert float(first.max()) > 0.9


def test_weights_of_points_are_normalised():
    start = Points([[0.1], [0.2]], [[0.0]], minimiser_weights=[1.0, 3.0])
    profile = start.profile(XY, make_rng(0))
    np.testing.assert_allclose(profile.generators.log_weights.exp().numpy(), [0.25, 0.75])


# ---------------------------------------------------------------------- folders


def test_folder_is_new_and_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        with new_folder("name", None) as folder:
            (folder / "file").write_text("x")
        assert folder.as_posix() == f"runs/solve/name/version_{number}"
    assert len(list(tmp_path.rglob("file"))) == 3


def test_failure_removes_the_folder_and_what_was_made_for_it(tmp_path):
    def fill(output):
        with new_folder("name", output) as folder:
            (folder / "file").write_text("x")
            raise KeyboardInterrupt

    def fail(output):
        with pytest.raises(KeyboardInterrupt):
            fill(output)

    fail(tmp_path / "a" / "b" / "c")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text("x")
    fail(tmp_path / "a" / "b")
    assert [one.name for one in (tmp_path / "a").iterdir()] == ["mine"]


def test_empty_folder_may_be_used_and_a_full_one_not(tmp_path):
    with new_folder("name", tmp_path) as folder:
        (folder / "file").write_text("x")
    with pytest.raises(InvalidInputError, match="is not empty and is left untouched"), new_folder("name", tmp_path):
        pass
    assert (tmp_path / "file").read_text() == "x"


# ---------------------------------------------------------------------- pictures


def test_pictures_show_whole_domains():
    assert extent(Torus(1)) == (0.0, 1.0)
    assert extent(Box([-1.5], [2.0])) == (-1.5, 2.0)
    assert extent(Simplex(1)) == (0.5, 1.5)
    assert extent(Euclidean(1)) is None


def test_window_holds_the_runs_that_stay_and_lets_the_others_leave():
    asked = problem(equilibrium=ORIGIN)
    asked.dynamics = {"GDA": descend(Simultaneous, 0.2), "EG": descend(Extragradient, 0.2)}
    (axes,) = trajectories(solve(asked, Console(quiet=True))).axes
    low, high = axes.get_xlim()
    assert high == -low
    assert math.sqrt(1.25) < high < 1.5


@pytest.mark.parametrize("still", [True, False])
def test_mixtures_off_the_plane_have_curves(still):
    rules = PlayerRules(Still(), EntropicMirrorDescent(0.1)) if still else frozen(SGD(0.1))
    dynamics = Simultaneous(rules, rules)
    asked = problem(SquaredDistance(3), Grid(3, 4, still), dynamics, steps=20)
    (axes,) = picture(solve(asked, Console(quiet=True))).axes
    assert axes.get_ylabel() == ("Nikaido-Isoda error" if still else "gradient norm")
    assert axes.get_xlabel() == "gradient calls"


@pytest.mark.parametrize("averages", [True, False])
def test_mixtures_in_the_plane_are_shown_there(averages):
    game = SquaredDistance(2)
    asked = problem(game, UniformDraws(5, 6), descend(Simultaneous, 0.1), steps=20, averages=averages)
    found = picture(solve(asked, Console(quiet=True))).axes
    assert len(found) == (4 if averages else 2)
    assert found[0].get_xlabel() == "$x_1$"
    low, high = found[1].get_xlim()
    assert low < -1
    assert high > 1


def test_window_of_unbounded_domains_holds_the_particles():
    points = torch.tensor([[0.0, 1.0], [4.0, 2.0]], dtype=torch.float64)
    assert window_of((Euclidean(2), Ball(2)), points) == pytest.approx((-0.2, 4.2, 0.8, 2.2))
    assert window_of((Torus(2), Torus(2)), points) == pytest.approx((-0.05, 1.05, -0.05, 1.05))


def test_curves_of_points_on_the_simplex_fall_with_the_error_in_the_table():
    game = Matrix([[-1.0, 1.0], [2.0, -1.0]])
    solution = solve(problem(game, Points([[0.2, 0.8]], [[0.9, 0.1]]), steps=200), Console(quiet=True))
    (axes,) = picture(solution).axes
    assert axes.get_ylabel() == "Nikaido-Isoda error"
    assert axes.lines[0].get_ydata()[-1] == pytest.approx(solution.readings[0].gap)


def test_curves_on_constrained_domains_end_at_the_gradient_in_the_table():
    ball = Ball(3)
    game = Bilinear(torch.eye(3).tolist(), minimiser_domain=ball, maximiser_domain=ball)
    start = Points([[0.9, 0.1, 0.0]], [[0.0, 0.8, 0.3]])
    solution = solve(problem(game, start, descend(Simultaneous, 0.1), steps=30), Console(quiet=True))
    (axes,) = picture(solution).axes
    assert axes.lines[0].get_ydata()[-1] == pytest.approx(solution.readings[0].gradient_norm)
