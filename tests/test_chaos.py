"""A training that is killed at random ends as the one left in peace; benchmarks/chaos.py does it for long."""

import subprocess
import sys

import pytest

from faults import environment
from training import REPOSITORY


@pytest.mark.distributed
@pytest.mark.slow
def test_training_survives_a_kill():
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "benchmarks" / "chaos.py"), "--rounds=1", "--steps=12"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(one process): 0.0e+00 from the undisturbed run" in done.stdout
    assert "1 rounds: all survived" in done.stdout
