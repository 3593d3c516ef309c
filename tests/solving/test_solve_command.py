"""`mixnash solve`: what it leaves behind, what it says, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from mixnash.commands import main
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.solving.cli import read_problem, run
from mixnash.solving.write import FILES

BILINEAR = """
name: tiny
game: {class_path: mixnash.core.games.bilinear.Bilinear, init_args: {matrix: [[1.0]]}}
start: {class_path: mixnash.solving.starts.points.Points, init_args: {minimiser: [[1.0]], maximiser: [[0.5]]}}
steps: 400
averages: true
equilibrium: {minimiser: [[0.0]], maximiser: [[0.0]]}
value: 0.0
dynamics:
  GDA:
    class_path: mixnash.core.dynamics.simultaneous.Simultaneous
    init_args:
      generators: &rule
        position: {class_path: mixnash.core.rules.sgd.SGD, init_args: {step_size: 0.2}}
        weights: {class_path: mixnash.core.rules.frozen.Frozen}
      critics: *rule
  alternating:
    class_path: mixnash.core.dynamics.alternating.Alternating
    init_args: {generators: *rule, critics: *rule}
  EG:
    class_path: mixnash.core.dynamics.extragradient.Extragradient
    init_args: {generators: *rule, critics: *rule}
"""

PENNIES = """
name: pennies
game: {class_path: mixnash.core.games.matrix.Matrix, init_args: {payoff: [[-1.0, 1.0], [2.0, -1.0]]}}
start: {class_path: mixnash.solving.starts.pure_strategies.PureStrategies}
steps: 300
record_every: 7
averages: true
equilibrium: {minimiser: [[0.6, 0.4]], maximiser: [[0.4, 0.6]]}
dynamics:
  mirror prox:
    class_path: mixnash.core.dynamics.extragradient.Extragradient
    init_args:
      generators: &rule
        position: {class_path: mixnash.core.rules.still.Still}
        weights: {class_path: mixnash.core.rules.entropic.EntropicMirrorDescent, init_args: {step_size: 0.2}}
      critics: *rule
"""

PARTICLES = """
name: particles
game: {class_path: mixnash.core.games.squared_distance.SquaredDistance}
start: {class_path: mixnash.solving.starts.draws.UniformDraws, init_args: {minimiser: 4, maximiser: 5}}
steps: 30
averages: true
equilibrium: {minimiser: [[0.0]], maximiser: [[-1.0], [1.0]]}
value: 1.0
dynamics:
  Langevin:
    class_path: mixnash.core.dynamics.simultaneous.Simultaneous
    init_args:
      generators: &rule
        position: {class_path: mixnash.core.rules.langevin.Langevin, init_args: {step_size: 0.05, temperature: 0.01}}
        weights: {class_path: mixnash.core.rules.entropic.EntropicMirrorDescent, init_args: {step_size: 0.2}}
      critics: *rule
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty working folder; files are written by name."""
    monkeypatch.chdir(tmp_path)

    def write(text, changes=None):
        tree = yaml.safe_load(text)
        for key, value in (changes or {}).items():
            *way, last = key.split(".")
            branch = tree
            for part in way:
                branch = branch[part]
            branch[last] = value
        path = tmp_path / "problem.yaml"
        path.write_text(yaml.safe_dump(tree, sort_keys=False))
        return str(path)

    return write


def arrays_of(folder):
    """The recorded arrays by name."""
    with np.load(folder / "trajectories.npz") as file:
        return dict(file)


def rows(folder):
    return {(one["dynamics"], one["iterate"]): one for one in json.loads((folder / "table.json").read_text())["rows"]}


def test_pure_strategies_leave_trajectories_table_picture_and_configuration(place, capsys):
    main(["solve", "--config", place(BILINEAR)])
    folder = next(Path("runs/solve/tiny").iterdir())
    assert folder.name == "version_0"
    assert {one.name for one in folder.iterdir()} == set(FILES)
    assert (folder / "picture.png").read_bytes().startswith(b"\x89PNG")
    arrays = arrays_of(folder)
    gda = np.concatenate([arrays[f"GDA/{role}_positions"][:, 0] for role in ("minimiser", "maximiser")], 1)
    assert gda.shape == (401, 2)
    np.testing.assert_allclose(np.linalg.norm(gda, axis=1), np.sqrt(1.25) * np.sqrt(1.04) ** np.arange(401))
    found = rows(folder)
    assert found["GDA", "last"]["outcome"] == {"kind": "diverges", "radius": None, "period": None, "step": None}
    assert found["GDA", "average"]["outcome"] is None
    assert found["GDA", "last"]["distance"] == pytest.approx(np.linalg.norm(gda[-1]))
    assert found["GDA", "last"]["gradient_norm"] == pytest.approx(np.linalg.norm(gda[-1]))
    assert found["GDA", "last"]["value"] == pytest.approx(gda[-1].prod())
    assert found["GDA", "last"]["gap"] is None
    # One turn takes 2 pi / (2 arcsin(h / 2)) steps.
    cycle = found["alternating", "last"]["outcome"]
    assert cycle["kind"] == "cycle"
    assert 1 < cycle["radius"] < 1.3
    assert cycle["period"] == pytest.approx(np.pi / np.arcsin(0.1), rel=1e-3)
    assert found["EG", "last"]["distance"] == pytest.approx(np.sqrt(1.25) * (1 - 0.04 + 0.0016) ** 200, rel=1e-9)
    assert found["EG", "last"]["gradient_calls"] == 800
    mean = np.concatenate([arrays[f"EG/played_{role}_positions"][1:, 0] for role in ("minimiser", "maximiser")], 1)
    assert found["EG", "average"]["distance"] == pytest.approx(np.linalg.norm(mean.mean(0)))
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("alternating", "gradient calls", "diverges", "version_0", "value 0"))


def test_saved_configuration_gives_the_same_run_in_the_next_folder(place):
    first = run(["--config", place(PARTICLES), "--seed", "3"])
    second = run(["--config", str(first / "config.yaml")])
    assert second == first.with_name("version_1")
    one, other = (arrays_of(folder) for folder in (first, second))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)
    third = arrays_of(run(["--config", place(PARTICLES), "--seed", "4"]))
    name = "Langevin/minimiser_positions"
    assert not np.array_equal(one[name][0], third[name][0])


def test_dynamics_do_not_disturb_each_other(place):
    text = PARTICLES + "  again: " + json.dumps(yaml.safe_load(PARTICLES)["dynamics"]["Langevin"])
    arrays = arrays_of(run(["--config", place(text), "--noise", "0.3"]))
    for name in ("minimiser_positions", "maximiser_weights", "values"):
        assert np.array_equal(arrays[f"Langevin/{name}"], arrays[f"again/{name}"])


def test_finite_game_reports_exact_errors_of_last_iterates_and_of_averages(place):
    folder = run(["--config", place(PENNIES)])
    arrays, found = arrays_of(folder), rows(folder)
    matrix = np.array([[-1.0, 1.0], [2.0, -1.0]])
    p, q = (arrays[f"mirror prox/{role}_weights"][-1] for role in ("minimiser", "maximiser"))
    last = found["mirror prox", "last"]
    assert last["gap_is_exact"]
    assert last["gap"] == pytest.approx((p @ matrix).max() - (matrix @ q).min(), abs=1e-14)
    assert last["distance"] == pytest.approx(np.hypot(*(np.linalg.norm(a) for a in (p - [0.6, 0.4], q - [0.4, 0.6]))))
    assert last["outcome"]["kind"] == "converged"
    assert last["gradient_norm"] is None
    assert found["mirror prox", "average"]["gap"] > last["gap"]
    assert arrays["mirror prox/steps"].tolist() == [*range(0, 300, 7), 300]


def test_particles_report_a_lower_bound_and_their_distance_to_the_known_mixture(place):
    folder = run(["--config", place(PARTICLES)])
    arrays, found = arrays_of(folder), rows(folder)
    (x, p), (y, q) = (
        (arrays[f"Langevin/{role}_positions"][-1, :, 0], arrays[f"Langevin/{role}_weights"][-1])
        for role in ("minimiser", "maximiser")
    )
    last = found["Langevin", "last"]
    assert not last["gap_is_exact"]
    # (E x - y)^2 + var x has its maximum over y at an end; (x - E y)^2 + var y its minimum at E y.
    highest = max(p @ (x - end) ** 2 for end in (-1, 1))
    assert last["gap"] == pytest.approx(highest - (q @ y**2 - (q @ y) ** 2), abs=1e-9)
    assert last["value"] == pytest.approx(p @ (x[:, None] - y) ** 2 @ q)
    grid = np.linspace(-1, 1, 200_001)
    share = (q[:, None] * (y[:, None] <= grid)).sum(0)
    wasserstein = np.abs(share - 0.5)[:-1].sum() * 1e-5
    assert last["distance"] == pytest.approx(np.hypot(p @ np.abs(x), wasserstein), abs=1e-4)


def test_options_overrule_the_file(place, tmp_path):
    folder = run(["--config", place(BILINEAR), "--steps=4", "--record_every=2", "--output", str(tmp_path / "here")])
    assert folder == tmp_path / "here"
    assert arrays_of(folder)["EG/steps"].tolist() == [0, 2, 4]


def test_folder_with_something_in_it_is_left_untouched(place, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("x")
    line = refusal(["--config", place(BILINEAR), "--output", str(tmp_path / "full")], capsys)
    assert "is not empty and is left untouched: choose another --output" in line
    assert [one.name for one in (tmp_path / "full").iterdir()] == ["precious"]


def test_place_that_is_a_file_is_refused(place, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    line = refusal(["--config", place(BILINEAR), "--output", str(tmp_path / "file" / "here")], capsys)
    assert "cannot be written" in line


def test_diverging_dynamics_is_reported_and_the_others_go_on(place, capsys):
    folder = run(["--config", place(BILINEAR, {"steps": 1000}), "--dynamics", json.dumps(huge_steps())])
    found = rows(folder)
    assert found["GDA", "last"]["outcome"]["kind"] == "diverged"
    assert found["GDA", "last"]["outcome"]["step"] > 1
    assert ("GDA", "average") not in found
    assert found["EG", "last"]["outcome"]["kind"] == "converged"
    assert "diverged by step" in capsys.readouterr().out


def huge_steps():
    dynamics = yaml.safe_load(BILINEAR)["dynamics"]
    for player in ("generators", "critics"):
        dynamics["GDA"]["init_args"][player] = {
            "position": {"class_path": "mixnash.core.rules.sgd.SGD", "init_args": {"step_size": 1e9}},
            "weights": {"class_path": "mixnash.core.rules.frozen.Frozen"},
        }
    return {name: dynamics[name] for name in ("GDA", "EG")}


def test_step_outside_the_proven_range_is_a_warning_with_the_bound(place, capsys):
    run(["--config", place(BILINEAR, {"game.init_args.matrix": [[4.0]]}), "--steps=3"])
    assert capsys.readouterr().err == ""
    folder = run(["--config", place(BILINEAR, {"game.init_args.matrix": [[8.0]]}), "--steps=3"])
    expected = (
        "EG: the step size 0.2 is outside the range from 0 to 0.125 that is proven to converge with the Lipschitz "
        "constant 8 and the weak-Minty constant 0."
    )
    assert capsys.readouterr().err == f"warning: {expected}\n"
    assert json.loads((folder / "table.json").read_text())["warnings"] == [expected]


def test_grid_that_stays_is_played_as_a_matrix(place):
    changes = {
        "start": {
            "class_path": "mixnash.solving.starts.grid.Grid",
            "init_args": {"minimiser": 5, "maximiser": 3, "still": True},
        },
        "dynamics.Langevin.init_args": yaml.safe_load(PENNIES)["dynamics"]["mirror prox"]["init_args"],
        "steps": 200,
    }
    folder = run(["--config", place(PARTICLES, changes)])
    arrays = arrays_of(folder)
    assert arrays["Langevin/minimiser_positions"][-1, :, 0].tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert arrays["Langevin/minimiser_weights"][-1, 2] > 0.9


# ---------------------------------------------------------------------- bad input


class NotFinite(AbstractVectorGame):
    """NaN everywhere."""

    def __init__(self) -> None:
        super().__init__(Bilinear([[1.0]]).minimiser, Bilinear([[1.0]]).maximiser)

    def payoff(self, x, y):
        return (x * y).squeeze(-1) * float("nan")


class CutOff(AbstractVectorGame):
    """Leaves autograd on the way."""

    def __init__(self) -> None:
        super().__init__(Bilinear([[1.0]]).minimiser, Bilinear([[1.0]]).maximiser)

    def payoff(self, x, y):
        return (x * y).sum(-1).detach()


class WrongShape(AbstractVectorGame):
    """Forgets to reduce."""

    def __init__(self) -> None:
        super().__init__(Bilinear([[1.0]]).minimiser, Bilinear([[1.0]]).maximiser)

    def payoff(self, x, y):
        return x * y


def refusal(words, capsys, code=2):
    """The one line on stderr of a command that is refused."""
    with pytest.raises(SystemExit) as stop:
        main(["solve", *words])
    assert stop.value.code == code
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    assert line.startswith("error: ")
    return line


BOX = {"class_path": "mixnash.core.domains.Box", "init_args": {"low": [-0.7], "high": [0.7]}}
SGD_RULE = {"class_path": "mixnash.core.rules.langevin.Langevin", "init_args": {"step_size": 0.1, "temperature": 1.0}}
REFUSALS = {
    "start outside": (BILINEAR, {"game.init_args.minimiser_domain": BOX}, r"start [1.0] of the minimiser lies outside"),
    "start of wrong length": (BILINEAR, {"start.init_args.minimiser": [[1.0, 2.0]]}, "minimiser need 1 coordinates"),
    "ragged start": (
        BILINEAR,
        {"start.init_args.maximiser": [[1.0], []]},
        "maximiser needs at least one point, and all",
    ),
    "no points": (BILINEAR, {"start.init_args.maximiser": []}, "maximiser needs at least one point"),
    "start not finite": (BILINEAR, {"start.init_args.maximiser": [[float("nan")]]}, "a coordinate that is not finite"),
    "too few weights": (
        BILINEAR,
        {"start.init_args.minimiser_weights": [0.5, 0.5]},
        "found 1 points and 2 weights",
    ),
    "negative weight": (
        BILINEAR,
        {"start.init_args.minimiser_weights": [-1.0]},
        "weights of the minimiser must be posit",
    ),
    "equilibrium outside": (
        BILINEAR,
        {"equilibrium.minimiser": [[float("inf")]]},
        "a coordinate that is not finite",
    ),
    "grid of the plane": (
        BILINEAR,
        {"start": {"class_path": "mixnash.solving.starts.grid.Grid", "init_args": {"minimiser": 3, "maximiser": 3}}},
        "whole space can be neither sampled nor searched",
    ),
    "small grid": (
        BILINEAR,
        {"start": {"class_path": "mixnash.solving.starts.grid.Grid", "init_args": {"minimiser": 3, "maximiser": 1}}},
        "at least 2 points per axis, found 1",
    ),
    "no draws": (
        PARTICLES,
        {"start.init_args.maximiser": 0},
        "at least 1 particle, found 0",
    ),
    "pure strategies of another game": (
        BILINEAR,
        {"start": {"class_path": "mixnash.solving.starts.pure_strategies.PureStrategies"}},
        "for matrix games only, found Bilinear",
    ),
    "infinite matrix": (PENNIES, {"game.init_args.payoff": [[1.0, float("inf")]]}, "matrix game must be finite"),
    "empty matrix": (PENNIES, {"game.init_args.payoff": []}, "rows of one positive length"),
    "ragged matrix": (PENNIES, {"game.init_args.payoff": [[1.0], [1.0, 2.0]]}, "rows of one positive length"),
    "noise on weights": (PENNIES, {"noise": 0.1}, "set noise to 0"),
    "moving pure strategies": (
        PENNIES,
        {"dynamics.mirror prox.init_args.generators.position": SGD_RULE},
        "mirror prox: the particles of this start cannot move",
    ),
    "negative step": (
        BILINEAR,
        {"dynamics.EG.init_args.generators.position.init_args.step_size": -0.1},
        "step size of SGD",
    ),
    "no steps": (BILINEAR, {"steps": 0}, "steps must be at least 1, found 0"),
    "steps no number": (BILINEAR, {"steps": "many"}, "steps: .*many"),
    "no records": (BILINEAR, {"record_every": 0}, "record_every must be at least 1"),
    "negative noise": (BILINEAR, {"noise": -1.0}, "noise must be at least 0"),
    "infinite noise": (BILINEAR, {"noise": float("inf")}, "noise must be at least 0 and finite, found inf"),
    "value that is no number": (BILINEAR, {"value": float("nan")}, "value of a game must be finite, found nan"),
    "start beyond numbers": (BILINEAR, {"start.init_args.minimiser": [[1e308]]}, "coordinate beyond 1e+100"),
    "no dynamics": (BILINEAR, {"dynamics": {}}, "at least one dynamics"),
    "slash": (BILINEAR, {"dynamics": {"a/b": yaml.safe_load(BILINEAR)["dynamics"]["EG"]}}, "nor hold '/'"),
    "bad name": (BILINEAR, {"name": "../up"}, "plain folder name"),
    "unknown option": (BILINEAR, {"stps": 3}, "There is no option 'stps'"),
    "unknown class": (BILINEAR, {"game.class_path": "mixnash.core.games.bilinear.Bilinar"}, "game: .*Bilinar"),
    "misspelt argument": (BILINEAR, {"game.init_args.matrx": 1}, "matrx"),
    "cut off": (BILINEAR, {"game": {"class_path": f"{__name__}.CutOff"}}, "is no differentiable function of x and y"),
    "wrong shape": (BILINEAR, {"game": {"class_path": f"{__name__}.WrongShape"}}, "must give one number per pair"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_entries_are_refused_in_one_sentence_and_leave_nothing(case, place, tmp_path, capsys):
    text, changes, message = REFUSALS[case]
    line = refusal(["--config", place(text, changes)], capsys)
    assert all(part in line for part in message.split(".*")), line
    assert [one.name for one in tmp_path.iterdir()] == ["problem.yaml"]


def test_game_that_is_not_finite_at_the_start_ends_with_code_3_and_leaves_nothing(place, tmp_path, capsys):
    path = place(BILINEAR, {"game": {"class_path": f"{__name__}.NotFinite"}})
    line = refusal(["--config", path], capsys, code=3)
    assert "payoff of NotFinite or its gradient is NaN or infinite at the start" in line
    assert [one.name for one in tmp_path.iterdir()] == ["problem.yaml"]


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--config", "nowhere.yaml"], "nowhere.yaml"), ([], "arguments are required: name, game, start, dynamics")],
)
def test_missing_files_and_entries_are_refused(words, message, place, capsys):
    assert message in refusal(words, capsys)


def test_file_that_is_no_text_is_refused(tmp_path, capsys):
    (tmp_path / "binary.yaml").write_bytes(b"\x00\x01\xff")
    assert "not a text file in UTF-8" in refusal(["--config", str(tmp_path / "binary.yaml")], capsys)


def test_games_dynamics_and_starts_are_listed_and_known_by_their_names(place, capsys):
    changes = {"game.class_path": "Bilinear", "start.class_path": "Points"}
    problem, _, _ = read_problem(["--config", place(BILINEAR, changes)])
    assert isinstance(problem.game, Bilinear)
    with pytest.raises(SystemExit):
        main(["solve", "--help"])
    printed = "".join(capsys.readouterr().out.split())
    assert "games.weird_saddle.WeirdSaddle" in printed
    assert "dynamics.reflected.Reflected" in printed
    assert "starts.grid.Grid" in printed


def test_help_explains_the_options(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["solve", "--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage: mixnash solve ")
    assert "--output" in printed
    assert "--averages" in printed


def test_errors_of_constructors_come_through_the_parser_unchanged(place):
    path = place(BILINEAR, {"steps": -2})
    with pytest.raises(InvalidInputError, match=r"^The number of steps must be at least 1, found -2\.$"):
        read_problem(["--config", path])
