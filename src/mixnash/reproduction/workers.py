"""Many trainings: read back where they are finished, the others two at a time, each in one process with one thread."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from mixnash.core.errors import InvalidInputError, MixnashError, require
from mixnash.evaluation.files import make_folder
from mixnash.reproduction.base import Advance
from mixnash.reproduction.experiments import read_experiment
from mixnash.reproduction.plan import Plan, Trained, check_plan
from mixnash.reproduction.shelf import read_trained, write_trained
from mixnash.reproduction.training import train

WORKERS = 2
"""Trainings at once."""


class _Order(NamedTuple):
    """A plan whose experiment exists and can be read."""

    plan: Plan
    fingerprint: str


def train_all(
    groups: Mapping[str, Sequence[Plan]], folder: Path, advance: Advance, workers: int = WORKERS
) -> dict[str, list[Trained]]:
    """Carry out all plans, or find what came of them before.

    Every training is written to `folder` by the process that made it, as soon as it is done. One that is there with the
    same plan, configuration and versions is read instead of made again.

    Args:
        groups: plans by what `advance` is told when their turn has come; a group may be empty.
        folder: of the files KEY.json and KEY.npz.
        advance: called once for each group, in their order.
        workers: trainings at once, each in a process of its own; 0 trains in this one.

    Raises:
        InvalidInputError: before any training if a plan or its experiment is not right or two share a key; and when a
            process dies or the folder cannot be written.
    """
    plans = [plan for group in groups.values() for plan in group]
    doubles = sorted({plan.key for plan in plans if [one.key for one in plans].count(plan.key) > 1})
    require(not doubles, f"Every training needs a name of its own, found twice: {', '.join(doubles)}.")
    orders = {name: [_order(plan) for plan in group] for name, group in groups.items()}
    make_folder(folder)
    with _hired(workers if plans else 0) as pool:
        waiting = {
            name: [None if pool is None else pool.submit(_carry_out, order, folder) for order in group]
            for name, group in orders.items()
        }
        done = {}
        for name, group in orders.items():
            advance(name)
            done[name] = [_result(order, folder, future) for order, future in zip(group, waiting[name], strict=True)]
        return done


def _order(plan: Plan) -> _Order:
    check_plan(plan)
    return _Order(plan, plan.fingerprint(read_experiment(plan.experiment, plan.seed, plan.overrides).resolved))


def _carry_out(order: _Order, folder: Path) -> Trained:
    """What a worker does."""
    plan, fingerprint = order
    found = read_trained(folder, plan.key, fingerprint)
    if found is None:
        found = train(plan, read_experiment(plan.experiment, plan.seed, plan.overrides))
        write_trained(folder, plan.key, fingerprint, found)
    return found


def _result(order: _Order, folder: Path, future: "Future[Trained] | None") -> Trained:
    """Wait for a worker, or do the work here."""
    about = f"The training {order.plan.key!r} of {order.plan.experiment!r} failed"
    try:
        return _carry_out(order, folder) if future is None else future.result()
    except BrokenProcessPool as error:
        raise InvalidInputError(
            f"{about}: its process was ended from outside, perhaps for want of memory. Start the same command again: "
            "finished trainings are kept."
        ) from error
    except MixnashError as error:
        raise InvalidInputError(f"{about}: {error}") from error


@contextmanager
def _hired(workers: int) -> Iterator[ProcessPoolExecutor | None]:
    """Fresh processes, which inherit no threads; those that have not begun their work are sent home on an error."""
    if workers == 0:
        yield None
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
