"""`--profile true`: a trace that other programs read, and shares that add up."""

import json
import re
import time
import warnings

import pytest
import pytorch_lightning as pl

from mixnash.cli import train
from mixnash.core.errors import InvalidInputError
from mixnash.lit.callbacks.profiler import StepProfiler
from training import adam_dynamics, assert_same, make_trainer, mixed_gan, ring, tiny_config

ROW = re.compile(r"  (\w[\w ,]*\w) +(\d+\.\d{3}) ms +(\d+\.\d) %")


def table(text):
    """Milliseconds and share of every part, from the text of a table."""
    return {name: (float(time), float(share)) for name, time, share in ROW.findall(text)}


def assert_adds_up(rows):
    total, whole = rows.pop("one step")
    assert whole == 100.0
    assert sum(round(10 * share) for _, share in rows.values()) == 1000
    assert sum(time for time, _ in rows.values()) == pytest.approx(total, abs=0.001 * (len(rows) + 1))


@pytest.fixture(scope="module")
def profiled(tmp_path_factory):
    """The folder of a run that was profiled, with what it printed."""
    folder = tmp_path_factory.mktemp("profiled")
    config = tiny_config(folder, {"trainer": {"max_steps": 13, "val_check_interval": 9, "log_every_n_steps": 5}})
    return train(["fit", f"--config={config}", f"--runs_dir={folder}", "--profile", "true"]).run_folder


def test_trace_is_read_by_json_and_holds_the_sections_of_five_steps(profiled):
    trace = json.loads((profiled / "profile" / "trace_rank_0.json").read_text())
    names = [event["name"] for event in trace["traceEvents"] if event.get("ph") == "X"]
    assert {f"ProfilerStep#{step}" for step in range(7, 12)} <= set(names)
    sections = {name.removeprefix("mixnash/") for name in names if name.startswith("mixnash/")}
    assert sections == {
        *("data", "generators", "critics", "gradients", "dynamics", "average", "step", "logging", "callbacks"),
        "evaluation",
    }
    assert names.count("mixnash/dynamics") == 5


def test_table_has_shares_that_add_up_and_the_operators(profiled):
    text = (profiled / "profile" / "table_rank_0.txt").read_text()
    assert text.startswith("where a step's time goes (5 recorded steps of process 0)\n")
    rows = table(text)
    assert rows.keys() == {
        *("draws and data", "generators forward", "critics and losses", "gradients", "rules and dynamics"),
        *("moving average", "step, besides", "logging", "callbacks", "rest", "one step"),
    }
    assert_adds_up(rows)
    assert "aten::" in text


def test_profile_is_not_asked_for_again_when_the_run_is_resumed(profiled):
    assert "profile: false" in (profiled / "config.yaml").read_text()


class SlowEvaluation(pl.Callback):
    """Takes half a second longer."""

    def on_validation_end(self, trainer, pl_module):
        time.sleep(0.5)


def test_evaluations_between_the_steps_do_not_count_and_the_shares_are_shown(tmp_path, capsys):
    callbacks = [SlowEvaluation(), StepProfiler(skip=0, warm_up=1, record=4)]
    module = mixed_gan(adam_dynamics())
    make_trainer(tmp_path, 6, callbacks, evaluate_every=2).fit(module, datamodule=ring())
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "profile" / "table_rank_0.txt").read_text().partition("\n\n")[0] + (
        f"\ntraces: {tmp_path / 'profile'}\n"
    )
    rows = table(printed)
    assert rows["one step"][0] < 2 * 500 / 4  # two evaluations in four steps took longer
    assert_adds_up(rows)


def test_profiling_changes_no_result(tmp_path):
    ends = []
    for name, callbacks in (("with", [StepProfiler(0, 1, 2)]), ("without", [])):
        module = mixed_gan(adam_dynamics())
        make_trainer(tmp_path / name, 4, callbacks).fit(module, datamodule=ring())
        ends.append(module.state_dict())
    assert_same(*ends)


def warnings_of(trainer):
    """What a run warns of, besides others' deprecations."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.fit(mixed_gan(adam_dynamics()), datamodule=ring())
    return [str(one.message) for one in caught if "profile" in str(one.message)]


def test_run_that_ends_before_its_steps_are_recorded_says_that_there_is_no_profile(tmp_path):
    class Stop(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            trainer.should_stop = trainer.global_step == 3

    trainer = make_trainer(tmp_path, 8, [StepProfiler(skip=1, warm_up=1, record=3), Stop()])
    assert warnings_of(trainer) == ["The run ended before all steps were recorded: there is no profile of it."]
    assert list((tmp_path / "profile").iterdir()) == []


def test_profile_that_cannot_be_written_does_not_end_the_run(tmp_path):
    (tmp_path / "profile" / "table_rank_0.txt").mkdir(parents=True)
    trainer = make_trainer(tmp_path, 4, [StepProfiler(0, 1, 2)])
    (warning,) = warnings_of(trainer)
    assert warning.startswith("The profile cannot be written, the run goes on (")
    assert trainer.global_step == 4


def test_run_with_too_few_steps_is_refused_and_leaves_nothing(tmp_path):
    words = ["fit", f"--config={tiny_config(tmp_path)}", f"--runs_dir={tmp_path / 'runs'}", "--profile=true"]
    message = "Profiling takes 12 steps, and this run makes 11: raise trainer.max_steps, or leave --profile out"
    with pytest.raises(InvalidInputError, match=message):
        train([*words, "--trainer.max_steps=11"])
    assert not list((tmp_path / "runs").glob("*/*"))


@pytest.mark.parametrize(("name", "least"), [("skip", 0), ("warm_up", 1), ("record", 1)])
def test_arguments_out_of_range_are_refused(name, least):
    message = f"{name} of the step profiler must be at least {least}, found {least - 1}"
    with pytest.raises(InvalidInputError, match=message):
        StepProfiler(**{name: least - 1})
