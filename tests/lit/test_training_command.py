"""What a run of the training command leaves behind, and what its options change."""

import json

import pytest
import torch
import yaml

from mixnash.cli import main, train
from training import tiny_config


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The tiny experiment, in a working folder with nothing else in it."""
    monkeypatch.chdir(tmp_path)
    return tiny_config(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run that ended well."""
    folder = tmp_path_factory.mktemp("finished")
    return train(["fit", f"--config={tiny_config(folder)}", f"--runs_dir={folder / 'runs'}"]).run_folder


def test_run_leaves_configuration_checkpoints_events_and_metrics(finished):
    names = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    (events,) = [name for name in names if name.startswith("events.out.tfevents")]
    best = "checkpoints/best-step=2.ckpt"
    assert {"config.yaml", "metrics.jsonl", "checkpoints/last.ckpt", best} <= names
    others = {"hparams.yaml", "checkpoints/previous.ckpt", "run.lock"}
    assert names - {"config.yaml", "metrics.jsonl", "checkpoints/last.ckpt", best, events} <= others


def test_checkpoint_holds_the_configuration_of_its_run(finished):
    checkpoint = torch.load(finished / "checkpoints" / "last.ckpt", weights_only=True)
    assert yaml.safe_load(checkpoint["mixnash_config"]) == yaml.safe_load((finished / "config.yaml").read_text())


def test_metric_lines_are_strict_json(finished):
    def refuse(constant):
        raise AssertionError(constant)

    for line in (finished / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_second_run_gets_its_own_folder_and_is_the_same_run(config, tmp_path):
    for _ in range(2):
        train(["fit", f"--config={config}", "--runs_dir=runs"])
    first, second = [
        torch.load(tmp_path / "runs" / "tiny" / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("version_0", "version_1")
    ]
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_seed_reaches_initialisation_data_and_latents(finished, config, tmp_path):
    cli = train(["fit", f"--config={config}", "--runs_dir=runs", "--seed_everything=7"])
    assert cli.model.seed == cli.datamodule.seed == 7
    ours, theirs = [
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (cli.run_folder, finished)
    ]
    assert not torch.equal(ours["generators.layers/0/weight"], theirs["generators.layers/0/weight"])


def test_later_configurations_override_earlier_ones(config, tmp_path):
    (tmp_path / "more.yaml").write_text("trainer: {max_steps: 1}\nmodel: {init_args: {num_generators: 2}}\n")
    cli = train(["fit", f"--config={config}", "--config=more.yaml", "--runs_dir=runs"])
    assert cli.trainer.global_step == 1
    assert len(cli.model.profile(averaged=False).generators.log_weights) == 2


def test_print_config_prints_what_would_run_and_writes_nothing(config, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["fit", f"--config={config}", "--model.init_args.num_generators=6", "--print_config"])
    assert caught.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["model"]["init_args"]["num_generators"] == 6
    assert printed["trainer"]["max_steps"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_run_without_loggers_still_writes_into_its_own_folder_only(config, tmp_path):
    cli = train(["fit", f"--config={config}", "--runs_dir=runs", "--trainer.logger=false"])
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.yaml", "runs"}
    assert (cli.run_folder / "config.yaml").is_file()
    assert (cli.run_folder / "checkpoints" / "last.ckpt").is_file()


def test_trial_run_leaves_no_trace(config, tmp_path):
    train(["fit", f"--config={config}", "--runs_dir=runs", "--trainer.fast_dev_run=true"])
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


BAR = "[{class_path: mixnash.lit.callbacks.progress.StepProgress}]"


@pytest.mark.parametrize(("words", "shown"), [([], True), (["--trainer.enable_progress_bar=false"], False)])
def test_progress_bar_is_shown_unless_it_is_switched_off(words, shown, config, capsys):
    main(["fit", f"--config={config}", "--runs_dir=runs", f"--trainer.callbacks={BAR}", *words])
    out = capsys.readouterr().out
    assert ("3/3 done" in out) == shown
    assert "Epoch" not in out


def test_command_tells_where_the_run_is_and_what_comes_next(config, capsys):
    main(["fit", f"--config={config}", "--runs_dir=runs", "--version=here"])
    out = capsys.readouterr().out
    assert "runs/tiny/here\n" in out
    assert "next: python evaluate.py --run " in out
