"""Feedback averaged over processes. Imports little: its child processes import it again."""

from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mixnash.core.tree import flatten
from mixnash.core.types import Feedback
from mixnash.lit.reduce import average_feedback


def feedback_of(rank: float, generators: bool, critics: bool) -> Feedback:
    """What one of two processes found: whole numbers, so that their mean is exact."""
    base = 1.0 + 2 * rank
    return Feedback(
        values=torch.full((3, 2), base),
        generator_losses=torch.tensor([base, 0.0, -base]),
        critic_losses=torch.tensor([5 * base, base]),
        generator_grads={"a.b": torch.full((3, 4), base), "c": torch.full((3, 1, 2), -base)} if generators else None,
        critic_grads={"a.b": torch.full((2, 5), 7 * base)} if critics else None,
    )


def content(feedback: dict[str, Any]) -> dict[str, Any]:
    """The entries of a feedback by path as lists, and which of its parts are None."""
    leaves = flatten({name: part for name, part in feedback.items() if part is not None})
    return {f"{name}?": part is None for name, part in feedback.items()} | {
        path: leaf.tolist() for path, leaf in leaves.items()
    }


ASKED = [(True, True), (True, False), (False, True)]


def average_in_process(rank: int, folder: str) -> None:
    """Join a group of two and write down the averages."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    averages = [average_feedback(feedback_of(rank, *asked))._asdict() for asked in ASKED]
    torch.save(averages, f"{folder}/rank_{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.distributed
@pytest.mark.slow
def test_feedback_is_averaged_over_processes_and_stays_none_where_nobody_asked(tmp_path):
    mp.spawn(average_in_process, args=(str(tmp_path),), nprocs=2)
    for rank in range(2):
        averages = torch.load(tmp_path / f"rank_{rank}.pt", weights_only=True)
        for average, asked in zip(averages, ASKED, strict=True):
            assert content(average) == content(feedback_of(0.5, *asked)._asdict())


def test_feedback_of_a_single_process_is_returned_as_it_is():
    feedback = feedback_of(0, generators=True, critics=False)
    assert average_feedback(feedback) is feedback
