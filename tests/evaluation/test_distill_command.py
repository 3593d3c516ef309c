"""`mixnash distill`: the regression on teachers that are known, and the run folder that it leaves."""

import json

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.population import make_population
from mixnash.distillation.cli import main
from mixnash.distillation.regression import (
    Settings,
    check_settings,
    draw_chooser,
    make_student,
    regress,
    regression_error,
)
from mixnash.distillation.run import new_folder
from mixnash.distillation.teacher import Teacher, greedy_tour
from mixnash.evaluation.cli import main as evaluate_main
from mixnash.evaluation.load import load_run
from mixnash.evaluation.sample import main as sample_main
from problems import make_rng

SMALL = ["--width", "4", "--depth", "1", "--steps", "60", "--batch_size", "30", "--num_samples", "300"]


def shifted(params, latent):
    """Teachers g_k(z) = a_k + z / 10."""
    return params["a"].unsqueeze(1) + latent / 10


def known_teacher():
    places = torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 3.0], [0.0, 3.0]])
    # Padding makes the mixture large enough to be compressed.
    params = {"a": places, "padding": torch.zeros(4, 1000)}
    generators = make_population(params, torch.tensor([0.1, 0.2, 0.3, 0.4]).log())
    return Teacher(generators, shifted, 2, torch.arange(4))


@pytest.fixture(scope="module")
def learnt():
    settings = Settings(width=32, depth=1, steps=600, batch_size=128, step_size=1e-2, seed=3)
    student = make_student(known_teacher(), (2,), settings)
    losses = []
    regress(student, known_teacher(), settings, lambda step, loss: losses.append((step, loss)))
    return student, settings, losses


def test_the_student_learns_teachers_that_are_known(learnt):
    student, settings, losses = learnt
    assert losses[-1][0] == 600
    assert regression_error(student, known_teacher(), settings) < 0.05
    with torch.no_grad():
        samples = student(torch.randn(8000, 3, generator=make_rng(1)))
    distance = torch.cdist(samples, known_teacher().generators.params["a"])
    near = torch.bincount(distance.argmin(1)[distance.amin(1) < 0.5], minlength=4) / 8000
    torch.testing.assert_close(near, torch.tensor([0.1, 0.2, 0.3, 0.4]), rtol=0, atol=0.02)
    assert float(near.sum()) > 0.99  # half a per cent of the samples may lie on bridges


def test_equal_seeds_give_equal_students():
    settings = Settings(width=5, depth=2, steps=7, batch_size=16, seed=2)
    made = []
    for seed in (2, 2, 4):
        torch.manual_seed(len(made))  # does not matter
        student = make_student(known_teacher(), (2,), settings._replace(seed=seed))
        regress(student, known_teacher(), settings._replace(seed=seed), lambda step, loss: None)
        made.append(torch.cat([leaf.detach().flatten() for leaf in student.layers.parameters()]))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_choosers_are_uniform_on_the_flat_part_of_their_bin():
    edges = torch.tensor([0.2, 0.7, 0.705])
    heights = torch.special.ndtr(draw_chooser(edges, 0.1, 2000, make_rng(5)))
    low, high = torch.tensor([0.0, 0.25, 0.7025, 0.755]), torch.tensor([0.15, 0.65, 0.7025, 1.0])  # the third is narrow
    assert bool((heights >= low[:, None] - 1e-5).all())
    assert bool((heights <= high[:, None] + 1e-5).all())
    torch.testing.assert_close(heights.mean(1), (low + high) / 2, rtol=0, atol=0.01)


def test_a_tour_goes_along_a_line_from_its_end():
    places = torch.tensor([[3.0], [0.5], [9.0], [1.5], [5.5]])
    assert greedy_tour(places).tolist() == [2, 4, 0, 3, 1]


# ---------------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def distilled(mixture_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("distilled") / "new" / "student"
    main(["--run", str(mixture_run), "--output", str(folder), *SMALL])
    return folder


def test_the_output_is_a_run_of_one_generator_with_the_critics_of_the_mixture(distilled, mixture_run):
    student, mixture = load_run(distilled, None), load_run(mixture_run, None)
    own, before = student.module.profile(averaged=True), mixture.module.profile(averaged=True)
    assert own.generators.log_weights.tolist() == [0.0]
    torch.testing.assert_close(own.critics.log_weights, before.critics.log_weights)
    assert all(torch.equal(own.critics.params[name], leaf) for name, leaf in before.critics.params.items())
    assert student.experiment == "three-modes-distilled"
    raw = student.module.profile(averaged=False).generators.params
    assert all(torch.equal(own.generators.params[name], leaf) for name, leaf in raw.items())
    # The bins are the mixture's weights, in the order of the tour.
    bins = torch.cat([torch.zeros(1), own.generators.params["edges"][0], torch.ones(1)]).diff()
    expected = before.generators.log_weights.exp()
    torch.testing.assert_close(bins.sort().values, expected.sort().values)


def test_evaluate_and_sample_accept_the_output(distilled, tmp_path):
    evaluate_main(["--run", str(distilled), "--num_samples", "60", "--output", str(tmp_path / "evaluation")])
    assert json.loads((tmp_path / "evaluation" / "metrics.json").read_text())["generators"] == 1
    sample_main(["--run", str(distilled), "--num_samples", "5", "--output", str(tmp_path / "samples.npz")])
    assert (tmp_path / "samples.npz").is_file()


def test_the_record_compares_both_and_the_picture_is_there(distilled):
    record = json.loads((distilled / "distillation.json").read_text())
    assert record["mixture"]["generators"] == 3
    assert record["distilled"]["generators"] == 1
    assert record["kept"]["high_quality"] == pytest.approx(
        record["distilled"]["high_quality"] / record["mixture"]["high_quality"]
    )
    # Three networks 2-8-2; one 4-4-2 and two edges.
    assert (record["parameters_mixture"], record["parameters_distilled"]) == (3 * 42, 32)
    assert record["settings"]["steps"] == 60
    assert (distilled / "distillation.png").read_bytes().startswith(b"\x89PNG")


def test_images_are_distilled_too(digits_run, tmp_path):
    main(["--run", str(digits_run), "--output", str(tmp_path / "student"), *SMALL[:-1], "40"])
    assert load_run(tmp_path / "student", None).data.event_shape == (1, 8, 8)
    assert (tmp_path / "student" / "distillation.png").is_file()


def message_of(capsys, args):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in args])
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_bad_input_is_one_sentence_and_leaves_nothing(mixture_run, wgan_run, tmp_path, capsys):
    output = tmp_path / "student"
    words = ["--run", mixture_run, "--output", output, "--num_samples", 50]
    assert "one generator already" in message_of(capsys, ["--run", wgan_run, "--output", output])
    larger = message_of(capsys, [*words, "--width", 8, "--depth", 3])
    assert "parameters, more than the 126 of the whole mixture" in larger
    for name in ("width", "depth", "steps", "batch_size", "num_samples"):
        assert f"--{name} must be at least 1, found 0" in message_of(capsys, [*words, f"--{name}", 0])
    assert "exactly one of --run" in message_of(capsys, ["--output", output])
    assert not list(tmp_path.iterdir())


def test_too_few_samples_to_compare_are_refused_before_the_training(mixture_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mixnash.distillation.regression.regress", lambda *_: pytest.fail("trained in vain"))
    said = message_of(
        capsys, ["--run", mixture_run, "--output", tmp_path / "student", "--width", 4, "--depth", 1, "--num_samples", 1]
    )
    assert "at least 2 samples" in said
    assert not list(tmp_path.iterdir())


def test_an_output_that_exists_is_left_untouched(mixture_run, tmp_path, capsys):
    (tmp_path / "mine").touch()
    assert "exists already" in message_of(capsys, ["--run", mixture_run, "--output", tmp_path, *SMALL])
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_failure_removes_the_new_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "new"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_step_sizes_must_be_positive():
    with pytest.raises(InvalidInputError, match="step_size must be positive and finite, found 0"):
        check_settings(Settings(step_size=0.0))
