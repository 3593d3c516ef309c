"""`evaluate.py --equilibrium`."""

import json

import pytest
from PIL import Image

from mixnash.core.games.constraints import Unconstrained
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.evaluation.cli import main
from mixnash.evaluation.equilibrium import evaluate_equilibrium
from mixnash.evaluation.load import load_run
from mixnash.evaluation.options import SearchOptions
from mixnash.lit.mixed_gan import MixedGAN

SEARCH = ["--num_samples", "60", "--equilibrium", "--budget", "4", "--starts", "1"]


def test_the_gap_is_in_the_record_the_table_the_pictures_and_the_report(mixture_run, tmp_path, capsys):
    main(["--run", str(mixture_run), *SEARCH, "--output", str(tmp_path)])
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["gap_low"] < record["gap_lower_bound"] < record["gap_high"]
    assert record["gap_high"] >= record["gap_restricted"]
    assert record["gap_critics"] + record["gap_generators"] == pytest.approx(record["gap_lower_bound"])
    assert (record["gap_budget"], record["gap_starts"]) == (4, 1)
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("gap_lower_bound", "gap_at_k", "gap_restricted", "gap_generators"))
    with Image.open(tmp_path / "figures" / "equilibrium.png") as image:
        assert min(image.size) > 300
    page = (tmp_path / "report.html").read_text()
    assert "How far from equilibrium" in page
    assert "--equilibrium --budget 4 --starts 1" in page


@pytest.mark.parametrize("kind", ["wgan_run", "digits_run"])
def test_single_networks_and_images_have_a_gap_that_repeats_with_the_seed(kind, request):
    run = load_run(request.getfixturevalue(kind), None)
    first, again = (evaluate_equilibrium(run, SearchOptions(2, 1), 3, averaged=True).record() for _ in range(2))
    assert first == again
    assert first["gap_low"] < first["gap_lower_bound"] < first["gap_high"]
    assert first["gap_high"] >= first["gap_restricted"]


def test_without_the_option_nothing_is_said_of_equilibrium(mixture_run, tmp_path, capsys):
    main(["--run", str(mixture_run), "--num_samples", "60", "--output", str(tmp_path)])
    assert "gap_lower_bound" not in json.loads((tmp_path / "metrics.json").read_text())
    assert "How far from equilibrium" not in (tmp_path / "report.html").read_text()
    assert "gap_lower_bound" not in capsys.readouterr().out


def sentence(capsys, words):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_run_with_unbounded_critics_is_refused_in_one_sentence_before_any_work(
    mixture_run, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(MixedGAN, "game", property(lambda self: Wasserstein(Unconstrained())))
    line = sentence(capsys, ["--run", str(mixture_run), *SEARCH, "--output", str(tmp_path / "evaluation")])
    assert "critics of this Wasserstein game can win without bound" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--budget", "5"], "--budget belongs to the search for deviations: add --equilibrium"),
        (["--equilibrium", "--particle", "1"], "belong to the mixture: leave --particle 1 out"),
        (["--starts", "5"], "--starts belongs to the search for deviations: add --equilibrium"),
        (["--equilibrium", "--budget", "0"], "--budget must be at least 1 update, found 0"),
        (["--equilibrium", "--starts", "0"], "--starts must be at least 1 of each kind, found 0"),
    ],
)
def test_impossible_searches_are_refused(words, said, mixture_run, tmp_path, capsys):
    assert said in sentence(capsys, ["--run", str(mixture_run), "--output", str(tmp_path), *words])
