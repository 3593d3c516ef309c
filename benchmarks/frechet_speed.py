"""Frechet distance by symmetric eigenvalues against the general eigenvalues of other libraries, side by side.

    python benchmarks/frechet_speed.py --dimension 2048 --samples 10000 --threads 1

Features are correlated normal draws with the spectrum i^-1.5 of variances, in two random bases. Their moments are not
timed: every route needs them. The distances themselves are, taking turns, in processor time: other jobs on the machine
disturb it less than the time on the wall, which is given too.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mixnash.core.random import stream
from mixnash.metrics.functional.frechet import frechet_distance, frechet_distance_reference
from mixnash.metrics.functional.moments import MeanCovariance, feature_moments

LARGEST_FRACTION = 0.4
LARGEST_DIFFERENCE = 1e-9


def moments(dimension: int, samples: int, seed: int) -> MeanCovariance:
    """Of features with a mean of 0.1 and a basis of their own."""
    rng = stream(torch.device("cpu"), seed)
    deviations = torch.arange(1, dimension + 1, dtype=torch.float64) ** -0.75
    basis = torch.linalg.qr(torch.randn(dimension, dimension, generator=rng, dtype=torch.float64)).Q
    features = torch.randn(samples, dimension, generator=rng, dtype=torch.float64) * deviations @ basis
    return feature_moments((features + 0.1 * seed).float()).mean_covariance()


class Timed(NamedTuple):
    value: float
    seconds: float
    """Of the processor, over all threads."""
    wall_seconds: float


def timed(one: Callable[[], Tensor]) -> Timed:
    wall, processor = time.perf_counter(), time.process_time()
    value = float(one())
    return Timed(value, time.process_time() - processor, time.perf_counter() - wall)


def compare(dimension: int, samples: int, rounds: int) -> dict[str, float]:
    """Median seconds of either route, their values, and the fraction of time round by round."""
    arguments = (*moments(dimension, samples, 1), *moments(dimension, samples, 2))
    pairs = [
        (timed(lambda: frechet_distance(*arguments)), timed(lambda: frechet_distance_reference(*arguments)))
        for _ in range(rounds)
    ]
    value, reference = pairs[0][0].value, pairs[0][1].value
    return {
        "value": value,
        "reference_value": reference,
        "relative_difference": abs(value - reference) / abs(reference),
        "seconds": statistics.median(ours.seconds for ours, _ in pairs),
        "reference_seconds": statistics.median(theirs.seconds for _, theirs in pairs),
        "fraction": statistics.median(ours.seconds / theirs.seconds for ours, theirs in pairs),
        "wall_fraction": statistics.median(ours.wall_seconds / theirs.wall_seconds for ours, theirs in pairs),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/frechet_speed.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = compare(options.dimension, options.samples, options.rounds)
    print(f"dimension {options.dimension}, n = {options.samples}, {options.threads} thread(s), {options.rounds} rounds")
    print(f"symmetric {found['value']:.15g} in {found['seconds']:.3f} s")
    print(f"general   {found['reference_value']:.15g} in {found['reference_seconds']:.3f} s")
    print(
        f"relative difference {found['relative_difference']:.2g} (at most {LARGEST_DIFFERENCE:g}), "
        f"fraction of the time {found['fraction']:.3f} (at most {LARGEST_FRACTION:g}), "
        f"on the wall {found['wall_fraction']:.3f}"
    )
    report = {"dimension": options.dimension, "samples": options.samples, "threads": options.threads, **found}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1))
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
