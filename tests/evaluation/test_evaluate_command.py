import base64
import html
import json
import re
import shutil

import pytest
from PIL import Image

from mixnash.core.errors import InvalidInputError
from mixnash.evaluation.cli import main
from mixnash.evaluation.evaluate import evaluate
from mixnash.evaluation.files import write_file
from mixnash.evaluation.history import read_history
from mixnash.evaluation.load import load_run
from mixnash.evaluation.pictures import curve_pictures, portrait_pictures
from mixnash.evaluation.readings import headlines, metric_rows, number, with_spread
from mixnash.evaluation.report import Pictures, render_report

COUNT = 200  # as many as each evaluation of the tiny runs sees


@pytest.fixture(scope="module")
def evaluated(mixture_run, tmp_path_factory):
    """The output folder of one evaluation, made by the command."""
    folder = tmp_path_factory.mktemp("evaluated") / "new" / "place"
    main(["--run", str(mixture_run), "--num_samples", str(COUNT), "--seed", "6", "--output", str(folder)])
    return folder


@pytest.fixture(scope="module")
def page(evaluated):
    return (evaluated / "report.html").read_text()


def message_of(capsys, args):
    """Run the command, which must fail; its one line on stderr."""
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_metrics_file_is_the_flat_record(evaluated, mixture_run):
    expected = evaluate(load_run(mixture_run, None), COUNT, seed=6).flat()
    assert json.loads((evaluated / "metrics.json").read_text()) == expected


def test_figures_are_pictures_of_the_mixture_and_of_training(evaluated):
    names = {path.stem for path in (evaluated / "figures").iterdir()}
    portraits = {"samples", "critic", "modes", "particles", "payoffs", "weights"}
    curves = {"modes", "high_quality", "reverse_kl", "sliced_wasserstein2", "losses", "effective_sizes"}
    assert names == portraits | {f"training_{curve}_{axis}" for curve in curves for axis in ("steps", "seconds")}
    for path in (evaluated / "figures").iterdir():
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert min(image.size) > 300


def test_report_embeds_every_figure_and_needs_nothing_else(page, evaluated):
    embedded = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    files = {path.read_bytes() for path in (evaluated / "figures").iterdir()}
    assert {base64.b64decode(text) for text in embedded} == files
    assert len(embedded) == len(files)
    rest = re.sub(r'src="data:[^"]+"', "", page)
    assert not re.search(r"<script|<link|@import|url\(|https?:|\ssrc=|\son\w+=", rest)


def test_report_shows_every_number_of_the_table(page, mixture_run):
    result = evaluate(load_run(mixture_run, None), COUNT, seed=6)
    for row in metric_rows(result):
        assert f">{row.value}<" in page
        assert row.perfect in page
        assert html.escape(row.reading.sentence, quote=False).replace("'", "&#39;") in page
    assert f"{number(result.metrics['modes'])} / 3" in page
    assert result.about["protocol"].replace("'", "&#39;") in page


def test_report_says_how_to_make_it_again(page, mixture_run):
    checkpoint = mixture_run / "checkpoints" / "last.ckpt"
    command = f"python evaluate.py --checkpoint {checkpoint} --num_samples {COUNT} --seed 6 --ema --device "
    assert command in page
    assert "3 generators against 2 critics, moving average of positions" in page


def test_report_escapes_what_it_was_given(mixture_run):
    run = load_run(mixture_run, None)._replace(config="model: <b>&'\"</pre>", experiment="<script>x</script>")
    text = render_report(run, evaluate(run, 50, averaged=False, particle=2), Pictures([], [], []), "rm '<i>' && ls")
    assert "model: &lt;b&gt;&amp;&#39;&#34;&lt;/pre&gt;" in text
    assert "&lt;script&gt;x&lt;/script&gt;" in text
    assert "rm &#39;&lt;i&gt;&#39; &amp;&amp; ls" in text
    assert not re.search("<script|<b>|<i>", text)
    assert "generator 2 of 3, alone, positions as they are" in text
    assert "the whole mixture, not generator 2 alone" in text
    assert "there is no metrics.jsonl beside this checkpoint" in text


def test_same_evaluation_writes_the_same_bytes_and_leaves_no_other_files(evaluated, mixture_run, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(evaluated, again)
    (again / "metrics.json").write_text("old")
    (again / "notes.txt").write_text("kept")
    main(["--run", str(mixture_run), "--num_samples", str(COUNT), "--seed", "6", "--output", str(again)])
    files = {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()}
    expected = {path.relative_to(evaluated): path.read_bytes() for path in evaluated.rglob("*") if path.is_file()}
    assert files == expected | {(again / "notes.txt").relative_to(again): b"kept"}


def test_command_prints_table_protocol_checkpoint_and_report(wgan_run, mixture_run, tmp_path, capsys):
    main(["--run", str(wgan_run), "--which", "best", "--num_samples", "50", "--raw"])
    printed = capsys.readouterr().out
    assert re.search(r"wasserstein2 +\d\.\d+ +\d\.\d+ ± \d\.\d+", printed)
    assert "protocol" not in printed
    assert re.search(r"checkpoint: .*best-step=\d+\.ckpt \(step \d+\)", printed)
    assert f"report: {wgan_run / 'evaluation' / 'report.html'}" in printed
    assert (wgan_run / "evaluation" / "report.html").is_file()
    assert "1 generator against 1 critic, positions as they are" in (wgan_run / "evaluation/report.html").read_text()


def test_curves_show_the_perfect_sampler_only_for_equally_many_samples(mixture_run):
    run = load_run(mixture_run, None)
    history = read_history(mixture_run / "metrics.jsonl")
    same, other = evaluate(run, COUNT), evaluate(run, 60)
    by_name = {name: history[f"val/{name}"] for name in ("high_quality",)}
    pictures = [
        curve_pictures({f"val/{name}": course for name, course in by_name.items()}, result, COUNT, clock=False)
        for result in (same, other)
    ]
    assert [[picture.name for picture in some] for some in pictures] == [["training_high_quality_steps"]] * 2
    assert pictures[0][0].png != pictures[1][0].png


def test_pictures_of_images_are_rows_of_samples(digits_run):
    pictures = portrait_pictures(load_run(digits_run, None), averaged=True)
    assert [picture.name for picture in pictures] == ["samples", "payoffs", "weights"]
    assert all(picture.caption for picture in pictures)
    assert pictures[2].wide


def test_headlines_are_three_and_fit_the_data(mixture_run, digits_run):
    mixture = headlines(evaluate(load_run(mixture_run, None), 50))
    images = headlines(evaluate(load_run(digits_run, None), 50))
    assert [row.name for row in mixture] == ["modes", "high_quality", "reverse_kl"]
    assert [row.name for row in images] == ["fd_random_cnn", "coverage_random_cnn", "density_random_cnn"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (25.0, "25"),
        (216050, "216,050"),
        (0.97783, "0.9778"),
        (0.5, "0.5000"),
        (-0.0012345, "-0.001234"),
        (6193.498, "6193"),
        (1.23e-7, "1.230e-07"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_have_four_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("mean", "spread", "text"),
    [
        (0.988929, 0.001032, "0.9889 ± 0.0010"),
        (0.0012245, 0.00036096, "0.00122 ± 0.00036"),
        (1234.56, 87.6, "1,235 ± 88"),
        (25.0, 0.0, "25 ± 0"),
        (float("inf"), float("nan"), "inf ± nan"),
    ],
)
def test_means_are_rounded_to_their_spread(mean, spread, text):
    assert with_spread(mean, spread) == text


def test_bad_input_is_one_line_and_exit_code_2(capsys, mixture_run, tmp_path):
    run = ["--run", str(mixture_run)]
    assert message_of(capsys, []).startswith("error: Give exactly one of --run RUN_DIR and --checkpoint FILE")
    assert "There is no run folder" in message_of(capsys, ["--run", str(tmp_path / "none")])
    assert "num_samples must be at least 1, found 0" in message_of(capsys, [*run, "--num_samples", "0"])
    assert "at least 2 samples" in message_of(capsys, [*run, "--num_samples", "1"])
    assert "no particle 3" in message_of(capsys, [*run, "--particle", "3", "--num_samples", "9"])
    assert "no device 'abacus'" in message_of(capsys, [*run, "--device", "abacus"])


def test_output_that_cannot_be_written_is_one_line(capsys, mixture_run, tmp_path):
    (tmp_path / "file").touch()
    message = message_of(capsys, ["--run", str(mixture_run), "--output", str(tmp_path / "file" / "below")])
    assert "cannot be written (Not a directory). Choose another place with --output." in message


def test_failed_write_leaves_nothing_behind_and_a_good_one_replaces_the_file(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(InvalidInputError, match=r"taken' cannot be written \(Is a directory\)"):
        write_file(tmp_path / "taken", b"new")
    (tmp_path / "file").write_text("old and longer")
    write_file(tmp_path / "file", b"new")
    assert {path.name for path in tmp_path.iterdir()} == {"taken", "file"}
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize("words", [["--sed", "3"], ["--ema", "--raw"], ["--seed", "x"], ["--which", "worst"]])
def test_unknown_and_contradictory_options_end_with_exit_code_2(capsys, mixture_run, words):
    with pytest.raises(SystemExit) as stop:
        main(["--run", str(mixture_run), *words])
    assert stop.value.code == 2
    assert "evaluate.py: error: " in capsys.readouterr().err
