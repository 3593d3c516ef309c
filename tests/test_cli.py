"""The training command: bad input costs one sentence and leaves nothing behind; good input leaves a complete run."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mixnash.cli import main, train
from mixnash.parse_errors import parse_sentence
from training import REPOSITORY, TINY, tiny_config

MODEL = "--model.init_args."
DYNAMICS = f"{MODEL}dynamics.init_args."
LANGEVIN = "{class_path: mixnash.core.rules.langevin.Langevin, init_args: {step_size: 0.1, temperature: -1.0}}"
COOLING = (
    "{class_path: mixnash.core.rules.langevin.Langevin, init_args: {step_size: 0.1, temperature: {class_path: "
    "mixnash.core.schedules.Linear, init_args: {start: 1.0e-3, end: -1.0e-3, steps: 10}}}}"
)
RULES = (
    "{position: {class_path: mixnash.core.rules.sgd.SGD, init_args: {step_size: 0.1}}, "
    "weights: {class_path: mixnash.core.rules.frozen.Frozen}}"
)
QUEUE = (
    "{class_path: mixnash.core.dynamics.snapshot_play.SnapshotPlay, "
    f"init_args: {{generators: {RULES}, critics: {RULES}, capacity: 10000000000}}}}"
)
MONITOR = "mixnash.lit.callbacks.duality_gap.DualityGapMonitor"
WGAN: dict[str, Any] = {
    "class_path": "mixnash.lit.wgan.WGAN",
    "init_args": {
        "generator": {"class_path": "mixnash.networks.mlp.MLPGenerator", "init_args": {"width": 8, "depth": 1}},
        "critic": {"class_path": "mixnash.networks.mlp.MLPCritic", "init_args": {"width": 8, "depth": 1}},
        "generator_optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 1e-3}},
        "critic_optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 1e-3}},
        "gradient_penalty": 0.1,
    },
}

BAD_WORDS = {
    "unknown option": (["--foo=1"], "unrecognized arguments: --foo=1"),
    "unknown trainer option": (["--trainer.max_stepz=1"], "'trainer.max_stepz'|--trainer.max_stepz"),
    "unknown model option": ([f"{MODEL}num_generatorz=3"], "no option 'model.init_args.num_generatorz'"),
    "unknown option far down": (
        [f"{DYNAMICS}generators.position.init_args.lr=3"],
        "no option 'model.init_args.dynamics.init_args.generators.position.init_args.lr'",
    ),
    "unknown network option": (
        [f"{MODEL}generator.init_args.wide=3"],
        "no option 'model.init_args.generator.init_args.wide'",
    ),
    "unknown class": ([f"{MODEL}game=Wassersteinn"], "model.init_args.game: Expected a class path"),
    "class of another kind": (
        [f"{MODEL}game=mixnash.core.rules.adam.Adam"],
        "model.init_args.game: .*Adam does not correspond to a subclass of AbstractGame",
    ),
    "wrong type far down": (
        [f"{DYNAMICS}critic_steps=2.5"],
        "model.init_args.dynamics.init_args.critic_steps: Expected int, found 2.5",
    ),
    "wrong type of a trainer option": (["--trainer.max_steps=x"], "trainer.max_steps: Expected int, found x"),
    "zero generators": ([f"{MODEL}num_generators=0"], "num_generators must be at least 1, found 0"),
    "zero samples": ([f"{MODEL}generator_samples=0"], "generator_samples must be at least 1, found 0"),
    "negative temperature": (
        [f"{DYNAMICS}generators.position={LANGEVIN}"],
        "temperature of Langevin dynamics must be at least 0",
    ),
    "temperature that ends below zero": (
        [f"{DYNAMICS}generators.position={COOLING}"],
        "temperature of Langevin dynamics must be at least 0 and finite at every step, found values from -0.001 to",
    ),
    "more players than particles": ([f"{MODEL}sampled_generators=5"], r"number of generators \(4\), found 5"),
    "queue larger than memory": ([f"{MODEL}dynamics={QUEUE}"], r"SnapshotPlay would keep .* GiB are free"),
    "packs that do not divide the batch": ([f"{MODEL}packing=3"], r"packing \(3\), found 16. Set it to 18"),
    "monitor of unbounded critics": (
        [
            f"{MODEL}game.init_args.constraint=mixnash.core.games.constraints.Unconstrained",
            f"--trainer.callbacks+={MONITOR}",
        ],
        "critics of this Wasserstein game can win without bound",
    ),
    "impossible monitor": (
        [f"--trainer.callbacks+={MONITOR}", "--trainer.callbacks.init_args.steps=0"],
        "steps of the duality gap's monitor must be at least 1, found 0",
    ),
    "negative step size": (
        [f"{DYNAMICS}critics.position.init_args.step_size=-0.1"],
        "step size of Adam must be positive and finite at every step, found values from -0.1",
    ),
    "step size that is no number": (
        [f"{DYNAMICS}critics.position.init_args.step_size=.nan"],
        "step size of Adam must be positive and finite",
    ),
    "average that never moves": ([f"{MODEL}ema_decay=1.0"], r"must lie in \[0, 1\), found 1.0"),
    "network without units": ([f"{MODEL}critic.init_args.width=0"], "width and depth of at least 1, found 0 and 1"),
    "clip inside the gradient penalty": (
        [f"{MODEL}game.init_args.constraint.init_args.bound=0.1"],
        "no option 'model.init_args.game.init_args.constraint.init_args.bound'",
    ),
    "unknown preset": (["--data.init_args.preset=pacgan"], "no mixture called 'pacgan': choose from pacgan-grid"),
    "empty batch": (["--data.init_args.batch_size=0"], "batch size must be at least 1, found 0"),
    "truth for a seed": (["--seed_everything=true"], "seed_everything must be an integer, found true"),
    "text for a seed": (["--seed_everything=x"], "seed_everything: Expected bool or int, found x"),
    "missing configuration": (["--config=nowhere.yaml"], "File does not exist: .*nowhere.yaml"),
    "missing fragment": ([f"{MODEL}game=nowhere.yaml"], "model.init_args.game: .*nowhere.yaml"),
    "missing checkpoint": (["--ckpt_path=nowhere.ckpt"], "There is no checkpoint 'nowhere.ckpt'"),
    "experiment outside its folder": (["--experiment=../up"], "experiment must be a plain folder name"),
    "empty version": (["--version="], "version must be a plain folder name"),
    "gradients accumulated": (["--trainer.accumulate_grad_batches=2"], "accumulation is not supported"),
    "no device": (["--trainer.devices=0"], "devices='0'"),
    "resume without a folder": (["--resume"], "--resume needs the folder of a run, or auto."),
    "resume of nothing": (["--resume", "nowhere"], "'nowhere' is not a run folder: it has no config.yaml"),
    "no evaluations": (["--trainer.val_check_interval=0"], "trainer.val_check_interval must be positive, found 0"),
    "resume and a checkpoint": (["--resume=r", "--ckpt_path=c"], "--resume names its checkpoint itself"),
}

BAD_ENTRIES = {
    "unknown entry": ({"foo": 1}, "no option 'foo'"),
    "unknown entry of the model": ({"model": {"foo": 1}}, "model: .*class_path and init_args and nothing beside"),
    "unknown entry far down": (
        {"model": {"init_args": {"dynamics": {"init_args": {"generators": {"posit": 1}}}}}},
        "no option 'model.init_args.dynamics.init_args.generators.posit'",
    ),
    "clip and penalty": (
        {"model": {**WGAN, "init_args": {**WGAN["init_args"], "clip": 0.1}}},
        "exactly one way: set either clip or gradient_penalty, found clip 0.1 and gradient_penalty 0.1",
    ),
    "neither clip nor penalty": (
        {"model": {**WGAN, "init_args": {**WGAN["init_args"], "gradient_penalty": None}}},
        "set either clip or gradient_penalty, found clip None",
    ),
    "negative learning rate": (
        {"model": {**WGAN, "init_args": {**WGAN["init_args"], "critic_optimizer": {
            "class_path": "torch.optim.Adam", "init_args": {"lr": -1.0}}}}},
        "critic_optimizer cannot be built: Invalid learning rate: -1.0",
    ),
    "simultaneous with several critic steps": (
        {"model": {**WGAN, "init_args": {**WGAN["init_args"], "simultaneous": True, "critic_steps": 5}}},
        "Set critic_steps to 1 or simultaneous to false",
    ),
    "missing entry": ({"model": {"class_path": "mixnash.lit.wgan.WGAN"}}, "model: .* required: generator, critic"),
}  # fmt: skip


def refusal(words: list[str], capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    """The one line on standard error with which the command refuses."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert len(lines[0]) < 300
    return lines[0]


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tiny_config(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run that ended well."""
    folder = tmp_path_factory.mktemp("finished")
    cli = train(["fit", f"--config={tiny_config(folder)}", f"--runs_dir={folder / 'runs'}", "--version=good"])
    return cli.run_folder


@pytest.mark.parametrize(("words", "message"), BAD_WORDS.values(), ids=list(BAD_WORDS))
def test_bad_words_are_refused_in_one_sentence_and_leave_nothing(words, message, config, tmp_path, capsys):
    assert_matches(message, refusal(["fit", f"--config={config}", "--runs_dir=runs", *words], capsys))
    assert not list((tmp_path / "runs").glob("*/*"))


@pytest.mark.parametrize(("entries", "message"), BAD_ENTRIES.values(), ids=list(BAD_ENTRIES))
def test_bad_entries_of_a_file_are_refused_in_one_sentence_and_leave_nothing(
    entries, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    words = ["fit", f"--config={tiny_config(tmp_path, entries)}", "--runs_dir=runs"]
    assert_matches(message, refusal(words, capsys))
    assert not list((tmp_path / "runs").glob("*/*"))


def assert_matches(message: str, line: str) -> None:
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(line)


def test_file_that_is_not_yaml_is_refused(tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text("a: [1,\nb: {")
    assert_matches("parsing config", refusal(["fit", f"--config={tmp_path / 'bad.yaml'}"], capsys))


@pytest.mark.parametrize(("words", "message"), [([], "subcommand"), (["fly"], "invalid choice: 'fly'")])
def test_subcommand_is_asked_for(words, message, capsys):
    assert_matches(message, refusal(words, capsys))


CONTENTS = {"empty": b"", "torn": b"PK\x03\x04 torn" * 50, "text": b"hello"}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=list(CONTENTS))
def test_corrupt_checkpoint_is_refused(content, config, tmp_path, capsys):
    (tmp_path / "bad.ckpt").write_bytes(content)
    words = ["fit", f"--config={config}", "--runs_dir=runs", "--ckpt_path=bad.ckpt"]
    assert_matches("checkpoint 'bad.ckpt' cannot be read", refusal(words, capsys))
    assert not (tmp_path / "runs").exists()


def test_checkpoint_of_another_project_is_refused_although_it_holds_hyperparameters(config, tmp_path, capsys):
    torch.save({"state_dict": {}, "hyper_parameters": {"a": 1}}, tmp_path / "foreign.ckpt")
    words = ["fit", f"--config={config}", "--runs_dir=runs", "--ckpt_path=foreign.ckpt"]
    assert_matches("was not written by mixnash", refusal(words, capsys))
    assert not (tmp_path / "runs").exists()


def test_checkpoint_of_another_configuration_is_refused(finished, config, tmp_path, capsys):
    path = finished / "checkpoints" / "last.ckpt"
    words = ["fit", f"--config={config}", "--runs_dir=runs", f"--ckpt_path={path}", f"{MODEL}num_generators=3"]
    assert_matches("The checkpoint does not fit this configuration", refusal(words, capsys))
    assert not list((tmp_path / "runs").glob("*/*"))


def test_place_that_cannot_be_written_is_refused(config, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    words = ["fit", f"--config={config}", "--runs_dir=file/runs"]
    assert_matches("cannot be written .*Choose another place with --runs_dir", refusal(words, capsys))


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of change of every file."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_existing_version_is_left_untouched(finished, config, capsys):
    before = contents(finished)
    words = ["fit", f"--config={config}", f"--runs_dir={finished.parents[1]}", "--version=good"]
    assert_matches("exists already and is left untouched", refusal(words, capsys))
    assert contents(finished) == before


def test_folder_that_is_no_run_cannot_be_resumed(finished, tmp_path, capsys):
    assert_matches("it has no config.yaml", refusal(["fit", f"--resume={finished.parent}"], capsys))
    (tmp_path / "config.yaml").write_text(TINY)
    assert_matches("cannot be resumed: it has no checkpoint", refusal(["fit", "--resume", str(tmp_path)], capsys))


def test_command_refuses_without_a_traceback(tmp_path):
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "train.py"), "fit", f"--config={tiny_config(tmp_path)}", f"{MODEL}ema=1"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    sentence = "There is no option 'model.init_args.ema': check its spelling and its place among those of MixedGAN."
    assert done.stderr == f"error: {sentence}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("Parser key \"a.b\":\n  Expected a <class 'int'>. Got value: x", "a.b: Expected int, found x."),
        ("the following arguments are required: fit.model", "the following arguments are required: fit.model."),
        (
            'Parser key "a":\n  Errors:\n    - Expected a <class \'float\'>\n    - Expected a <class \'x.y.Z\'>\n'
            "  Given value type: <class 'str'>\n  Given value: no",
            "a: Expected float or Z, found no.",
        ),
        ("Group 'a' does not accept option 'b.c'", "There is no option 'a.b.c': check its spelling and its place."),
    ],
)  # fmt: skip
def test_messages_of_the_parser_become_sentences(message, sentence):
    assert parse_sentence(message) == sentence
