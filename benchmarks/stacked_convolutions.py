"""Speed of a population of DCGAN critics in groups, one by one and by the rule, against as many separate modules.

    OMP_NUM_THREADS=1 python benchmarks/stacked_convolutions.py

A pass is forward and backward; a penalty differentiates the input gradient once more; a step is a pass and an update
by Adam: ours on the stacked parameters, torch's for every separate module. The alternatives take turns, round after
round; reported are the median over rounds of the separate modules' time and of the rounds' ratios to it. With one
thread times are those of the thread, without what other processes took from it; with more they are of the clock.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from mixnash.core.population import stack
from mixnash.core.random import stream
from mixnash.core.rules.adam import Adam
from mixnash.networks import layered
from mixnash.networks.base import parameters_of
from mixnash.networks.convolutions import prefers_groups
from mixnash.networks.dcgan import DCGANCritic

Work = dict[str, Callable[[], object]]

WAYS = {"grouped": lambda *_: True, "looped": lambda *_: False, "rule": prefers_groups}
"""What decides in place of the rule."""


class Setting:
    """Critics as separate modules and as a population, with the same inputs."""

    def __init__(self, count: int, channels: int, size: int, width: int, samples: int) -> None:
        self.modules = [DCGANCritic([channels, size, size], width) for _ in range(count)]
        self.params = stack([parameters_of(one) for one in self.modules])
        self.inputs = torch.randn(count, samples, channels, size, size)
        self.optimizers = [torch.optim.Adam(one.parameters(), 1e-4, betas=(0.5, 0.9)) for one in self.modules]
        self.adam = Adam(1e-4, 0.5, 0.9)
        self.state = self.adam.init(self.params)

    def leaves(self) -> dict[str, torch.Tensor]:
        return {name: leaf.detach().requires_grad_() for name, leaf in self.params.items()}

    def separate_pass(self) -> None:
        for module, own in zip(self.modules, self.inputs, strict=True):
            torch.autograd.grad(module(own).sum(), list(module.parameters()))

    def separate_penalty(self) -> None:
        for module, own in zip(self.modules, self.inputs, strict=True):
            here = own.detach().requires_grad_()
            (slopes,) = torch.autograd.grad(module(here).sum(), here, create_graph=True)
            torch.autograd.grad(slopes.square().sum(), list(module.parameters()), materialize_grads=True)

    def separate_step(self) -> None:
        for module, own, optimizer in zip(self.modules, self.inputs, self.optimizers, strict=True):
            optimizer.zero_grad()
            module(own).sum().backward()
            optimizer.step()

    def stacked_pass(self) -> dict[str, torch.Tensor]:
        leaves = self.leaves()
        scores = self.modules[0].stacked(leaves, self.inputs)
        return dict(zip(leaves, torch.autograd.grad(scores.sum(), list(leaves.values())), strict=True))

    def stacked_penalty(self) -> None:
        leaves = self.leaves()
        slopes = self.modules[0].input_gradient(leaves, self.inputs)
        torch.autograd.grad(slopes.square().sum(), list(leaves.values()), materialize_grads=True)

    def stacked_step(self) -> None:
        gradients = self.stacked_pass()
        self.params, self.state = self.adam.update(self.params, gradients, self.state, stream(torch.device("cpu"), 1))

    def works(self) -> dict[str, Work]:
        """The alternatives of every kind of work, the separate modules first."""
        kinds = {
            "pass": (self.separate_pass, self.stacked_pass),
            "penalty": (self.separate_penalty, self.stacked_penalty),
            "step": (self.separate_step, self.stacked_step),
        }
        return {
            kind: {"separate": apart, **{name: deciding(rule, together) for name, rule in WAYS.items()}}
            for kind, (apart, together) in kinds.items()
        }


def deciding(rule: Callable[..., bool], work: Callable[[], object]) -> Callable[[], object]:
    """The work with another rule in charge."""

    def run() -> None:
        layered.prefers_groups = rule
        work()
        layered.prefers_groups = prefers_groups

    return run


def compare(works: Work, rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds of the separate modules, and the others' ratios to them."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            start = clock()
            work()
            if number:  # the first round warms up
                times[name].append(clock() - start)
    first = times.pop("separate")
    return {
        "separate_seconds": statistics.median(first),
        **{name: statistics.median(a / b for a, b in zip(own, first, strict=True)) for name, own in times.items()},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=8, help="particles")
    parser.add_argument("--samples", type=int, nargs="+", default=[16, 32, 64], help="per particle")
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--shapes", nargs="+", default=["1x28", "3x32"], help="channels x size")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/stacked_convolutions.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.thread_time if options.threads == 1 else time.perf_counter
    title = (
        f"{options.count} DCGAN critics, {os.cpu_count()} cores, {options.threads} thread(s): ratio to separate ones"
    )
    table = Table(title=title, title_justify="left")
    for name in ("image", "width", "samples", "work", "separate, ms", *WAYS):
        table.add_column(name, justify="right")
    rows: list[dict[str, object]] = []
    for shape in options.shapes:
        channels, size = map(int, shape.split("x"))
        for width in options.widths:
            for samples in options.samples:
                setting = Setting(options.count, channels, size, width, samples)
                for kind, works in setting.works().items():
                    found = compare(works, options.rounds, clock)
                    rows.append({"shape": shape, "width": width, "samples": samples, "work": kind, **found})
                    ratios = [f"{found[name]:.2f}" for name in WAYS]
                    milliseconds = f"{1e3 * found['separate_seconds']:.1f}"
                    table.add_row(shape, str(width), str(samples), kind, milliseconds, *ratios)
    Console(width=120).print(table)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    report = {"cores": os.cpu_count(), "threads": options.threads, "particles": options.count, "rows": rows}
    options.output.write_text(json.dumps(report, indent=1))
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
