"""Different samples among many: sets smaller than what is asked of them come round several times."""

import hashlib

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor


def first_places(samples: Shaped[Tensor, "n *event"]) -> Int64[Tensor, " d"]:
    """Where each of the d different samples comes first, in their order and on their device; equal is bit by bit."""
    seen: dict[bytes, int] = {}
    for place, sample in enumerate(samples.detach().cpu().contiguous()):
        # 16 bytes of a hash for each: the samples themselves may fill the memory twice.
        seen.setdefault(hashlib.blake2b(sample.numpy().tobytes(), digest_size=16).digest(), place)
    return torch.tensor(list(seen.values()), dtype=torch.int64, device=samples.device)
