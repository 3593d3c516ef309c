import subprocess
import sys
from importlib.metadata import version

import pytest

import mixnash.cli
from mixnash.commands import COMMANDS, main


def test_help_names_every_command_with_its_summary(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert set(COMMANDS) == {
        *("train", "distill", "evaluate", "reproduce", "sample", "solve", "train-classifier", "runs", "follow")
    }
    assert all(name in printed and command.summary in printed for name, command in COMMANDS.items())


def test_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"mixnash {version('mixnash')}\n"


@pytest.mark.parametrize("words", [[], ["dance"], ["--dance"]])
def test_missing_and_unknown_commands_end_with_exit_code_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "mixnash: error: " in capsys.readouterr().err


def test_train_passes_the_remaining_words_on(monkeypatch):
    seen = []
    monkeypatch.setattr(mixnash.cli, "main", seen.append)
    main(["train", "fit", "--config", "x.yaml"])
    assert seen == [["fit", "--config", "x.yaml"]]


@pytest.mark.parametrize("name", ["evaluate", "sample"])
def test_other_commands_know_their_name_and_their_options(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: mixnash {name} ")
    assert "--checkpoint FILE" in printed


@pytest.mark.parametrize(
    "words", [["--help"], *([name, "--help"] for name in ("evaluate", "sample", "runs", "follow"))]
)
def test_help_does_not_wait_for_torch(words):
    program = (
        "import sys\nfrom mixnash.commands import main\n"
        f"try:\n    main({words})\nexcept SystemExit:\n    sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0
