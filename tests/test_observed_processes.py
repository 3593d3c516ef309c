"""Two processes are observed as one run: both ranks' numbers, one status, a profile each."""

import json
import re

import pytest

from mixnash.lit.run_status import State, read_status
from test_distributed import train_with_two_processes
from training import tiny_config

CALLBACKS = [
    {"class_path": f"mixnash.lit.callbacks.{name}"}
    for name in ("last_checkpoint.LastCheckpoint", "performance.Performance", "run_state.RunState")
]
