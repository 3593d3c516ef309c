"""Exchanges between the processes of a group, counted, and ending in a sentence when one of them is gone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from mixnash.core.errors import ProcessLostError
from mixnash.core.shares import Share, share_of
from mixnash.lit.parallel.traffic import Traffic


@contextmanager
def answered() -> Iterator[None]:
    """Turn what backends say when a process does not answer into a sentence.

    Raises:
        ProcessLostError: when an exchange failed.
    """
    try:
        yield
    except RuntimeError as error:  # the base of all errors of torch.distributed
        raise ProcessLostError(
            "Another process of this run ended or stopped answering, so this one ends too. Checkpoints written before "
            f"are intact: continue with --resume. (Cause: {str(error).splitlines()[0][:200]})"
        ) from error


def sum_over(flat: Tensor, group: dist.ProcessGroup, traffic: Traffic) -> None:
    """Replace a tensor by its sum over a group, in place."""
    with answered(), traffic.exchange(flat.numel() * flat.element_size()):
        dist.all_reduce(flat, group=group)


def sum_pairwise(flat: Tensor, group: dist.ProcessGroup, traffic: Traffic) -> Tensor:
    """The sum of a tensor over a group of 2^m processes, (1 + 2) + (3 + 4) and so on in the order of the processes.

    Everything is sent to everyone, so that the order does not depend on how a backend adds.
    """
    everyone = flat.new_empty(dist.get_world_size(group), flat.numel())
    with answered(), traffic.exchange(flat.numel() * flat.element_size()):
        dist.all_gather(list(everyone.unbind()), flat, group=group)
    while len(everyone) > 1:
        everyone = everyone[0::2] + everyone[1::2]
    return everyone[0]


def gather_rows(rows: Tensor, share: Share, group: dist.ProcessGroup, traffic: Traffic) -> Tensor:
    """All rows [total, ...] of which every process of a group holds its share [count, ...].

    Shares differ by at most one row: the shorter ones travel with a row of padding. Nothing travels where rows have no
    contents.
    """
    if rows.is_meta:
        return rows.new_empty(share.total, *rows.shape[1:])
    parts = dist.get_world_size(group)
    longest = share_of(share.total, parts, 0).size
    padded = rows.contiguous()
    if share.size < longest:
        padded = rows.new_zeros(longest, *rows.shape[1:])
        padded[: share.size] = rows
    everyone = rows.new_empty(parts, longest, *rows.shape[1:])
    with answered(), traffic.exchange(padded.numel() * padded.element_size()):
        dist.all_gather(list(everyone.unbind()), padded, group=group)
    if share.total == parts * longest:
        return everyone.flatten(0, 1)
    counts = [share_of(share.total, parts, part).size for part in range(parts)]
    return torch.cat([everyone[part, :count] for part, count in enumerate(counts)])


def sum_rows(everyones: Tensor, share: Share, group: dist.ProcessGroup, traffic: Traffic) -> Tensor:
    """The own rows [count, ...] of the sum of everyone's [total, ...].

    Each process is sent its own rows and nothing else, and adds them up in the order of the processes, so that the sum
    does not depend on how a backend orders its additions. Nothing is sent where rows have no contents.
    """
    if everyones.is_meta:
        return everyones.new_empty(share.size, *everyones.shape[1:])
    parts = dist.get_world_size(group)
    counts = [share_of(share.total, parts, part).size for part in range(parts)]
    received = everyones.new_empty(parts * share.size, *everyones.shape[1:])
    elsewhere = (share.total - share.size) * (everyones[:1].numel() * everyones.element_size())
    with answered(), traffic.exchange(elsewhere):
        dist.all_to_all_single(received, everyones.contiguous(), [share.size] * parts, counts, group=group)
    return received.reshape(parts, share.size, *everyones.shape[1:]).sum(0)


def collect_rows(rows: Tensor, share: Share, group: dist.ProcessGroup) -> Tensor | None:
    """All rows [total, ...] on the CPU of the first process of a group; None on the others.

    One part at a time is on the device beside the own one, so that a population that does not fit one device can be
    saved from it.
    """
    index, parts = dist.get_rank(group), dist.get_world_size(group)
    with answered():
        if index > 0:
            dist.send(rows.contiguous(), group=group, group_dst=0)
            return None
        whole = torch.empty(share.total, *rows.shape[1:], dtype=rows.dtype)
        whole[share.cut] = rows.cpu()
        for part in range(1, parts):
            other = share_of(share.total, parts, part)
            received = rows.new_empty(other.size, *rows.shape[1:])
            dist.recv(received, group=group, group_src=part)
            whole[other.cut] = received.cpu()
    return whole
