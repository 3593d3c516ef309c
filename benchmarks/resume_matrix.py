"""Looks for runs that do not resume exactly, among many more than the tests have time for.

    PYTHONPATH=tests python benchmarks/resume_matrix.py --examples 2000 --runs 100

draws dynamics, rules, schedules, games, counts and cuts by hypothesis: `examples` of them step by step, `runs` through
Lightning's trainer. It prints how many were equal bit for bit, or the smallest example that was not, and then ends with
code 1. Give another --seed for other examples.
"""

import argparse
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import hypothesis
import torch
from hypothesis import HealthCheck, settings

from resume_cases import cases, cuts, resumed_differs
from resume_runs import both_ends, runs
from training import assert_same


def count_of(check: Callable[..., None], seed: int, examples: int) -> int:
    """How many drawn examples a check, decorated with `hypothesis.given`, passed."""
    if examples == 0:
        return 0
    bounded = settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
    )
    hypothesis.seed(seed)(bounded(check))()
    return examples


@hypothesis.given(cases(), cuts())
def check_steps(case: object, cut: tuple[int, int]) -> None:
    """One example, step by step."""
    assert resumed_differs(case, *cut) == [], (case, cut)


@hypothesis.given(runs())
def check_run(run: object) -> None:
    """One example, by the trainer."""
    with tempfile.TemporaryDirectory() as folder:
        assert_same(*both_ends(run, Path(folder)))


def main() -> None:
    """Draw, compare, count."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--examples", type=int, default=2000, help="runs step by step")
    parser.add_argument("--runs", type=int, default=0, help="runs by the trainer")
    parser.add_argument("--seed", type=int, default=0, help="of the examples")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    start = time.process_time()
    for check, examples, name in (
        (check_steps, options.examples, "step by step"),
        (check_run, options.runs, "trainer"),
    ):
        equal = count_of(check, options.seed, examples)
        print(f"{name}: {equal} of {equal} equal bit for bit, {time.process_time() - start:.0f} s of CPU", flush=True)


if __name__ == "__main__":
    main()
