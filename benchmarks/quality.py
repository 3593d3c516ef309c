"""Quality against training time on `pacgan-grid`: the mixture, single networks of equal size, and other mixtures.

    python benchmarks/quality.py --group budget --seeds 0 1 2 3 4     # the mixture against single WGAN-GPs
    python benchmarks/quality.py --group particles --seeds 0 1 2      # K = 8, 16, 25, 40; entropic weights
    python benchmarks/quality.py --group unequal --seeds 0 1 2        # modes of unequal mass

Every arm is the experiment `gaussians25` with a few words changed, run by `train.py` in a process of its own with one
thread; two run at a time. Time is that of the training steps alone (`time/training_seconds`). Scores are those of the
evaluation at that step: 10,000 samples of the averaged generators. Arms take turns seed by seed, so that a noisy
machine hits them alike.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mixnash.figures.curves import metric_curves
from mixnash.figures.encode import to_png

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "configs" / "experiment" / "gaussians25.yaml"
MODEL = "--model.init_args."
DATA = "--data.init_args."


class Arm(NamedTuple):
    """What differs from the experiment."""

    words: tuple[str, ...]
    seconds: float
    """Training time after which the run may stop."""
    interval: int
    """Steps between evaluations."""


def particles(count: int, *more: str, seconds: float = 60.0, interval: int = 50) -> Arm:
    """A mixture of `count` generators of the experiment's width, 600 samples for each critic update in all."""
    return Arm(
        (
            f"{MODEL}num_generators={count}",
            f"{MODEL}critic_samples={-(-600 // count)}",
            f"{MODEL}generator_samples={-(-800 // count)}",
            *more,
        ),
        seconds,
        interval,
    )


def single(width: int, critic_width: int, steps: int, decay: float = 0.99) -> Arm:
    """One generator with all 600 samples per critic update and all 800 per generator update; longer, to be fair."""
    rules, schedule = f"{MODEL}dynamics.init_args", "position.init_args.step_size.init_args"
    hold = steps // 3
    return particles(
        1,
        f"{MODEL}generator.init_args.width={width}",
        f"{MODEL}critic.init_args.width={critic_width}",
        f"{MODEL}ema_decay={decay}",
        f"--trainer.max_steps={steps}",
        f"{rules}.generators.{schedule}.hold={hold}",
        f"{rules}.generators.{schedule}.steps={steps - hold}",
        f"{rules}.critics.{schedule}.hold={3 * hold}",
        f"{rules}.critics.{schedule}.steps={3 * (steps - hold)}",
        seconds=90.0,
        interval=max(50, steps // 80),
    )


ENTROPIC = (
    f"{MODEL}dynamics.init_args.generators.weights=mixnash.core.rules.entropic.EntropicMirrorDescent",
    f"{MODEL}dynamics.init_args.generators.weights.init_args.step_size=0.02",
)
UNEQUAL = (f"{DATA}mode_weights={[1.0 + index % 5 for index in range(25)]}",)
# 25 generators of 3 x 64 units have 216,050 parameters, and their critic 10,113. One generator of 3 x 325 units has
# 213,527, with the same critic; one of 3 x 230 units with such a critic has 107,412 + 112,701.
GROUPS = {
    "budget": {
        "mixture of 25": particles(25),
        "single, width 325, 2,250 steps": single(325, 64, 2250),
        "single, width 325, 8,000 steps": single(325, 64, 8000),
        "single, width 230, critic 230, 4,000 steps": single(230, 230, 4000),
        "single, width 64, 8,000 steps": single(64, 64, 8000),
    },
    "particles": {
        **{f"K = {count}, frozen weights": particles(count) for count in (8, 16, 25, 40)},
        **{f"K = {count}, entropic weights": particles(count, *ENTROPIC) for count in (16, 40)},
    },
    "unequal": {
        f"K = {count}, {name} weights": particles(count, *UNEQUAL, *words)
        for count in (25, 40)
        for name, words in (("frozen", ()), ("entropic", ENTROPIC))
    },
}


def run(name: str, arm: Arm, seed: int, steps: int | None, folder: Path) -> dict:
    """Train one arm with one seed and read its curve."""
    version = f"{name.replace(' ', '_').replace(',', '').replace('=', '')}_{seed}"
    words = [sys.executable, str(ROOT / "train.py"), "fit", "--config", str(CONFIG), *arm.words]
    words += ["--seed_everything", str(seed), "--runs_dir", str(folder), "--version", version]
    words += ["--trainer.val_check_interval", str(arm.interval), "--trainer.enable_progress_bar", "false"]
    words += ["--trainer.callbacks+=mixnash.lit.callbacks.clock.TrainingTimeLimit"]
    words += [f"--trainer.callbacks.init_args.seconds={arm.seconds}"]
    words += ["--trainer.max_steps", str(steps)] if steps else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    subprocess.run(words, check=True, env=environment, stdout=subprocess.DEVNULL)
    lines = [json.loads(line) for line in (folder / "gaussians25" / version / "metrics.jsonl").read_text().splitlines()]
    return {"arm": name, "seed": seed, "curve": [line for line in lines if "val/modes" in line]}


def time_to_target(curve: list[dict]) -> float | None:
    """Training seconds to 25 modes with 0.90 high quality."""
    hits = [
        line["time/training_seconds"] for line in curve if line["val/modes"] == 25 and line["val/high_quality"] >= 0.9
    ]
    return hits[0] if hits else None


def spread(values: list[float]) -> str:
    mean = statistics.mean(values)
    return f"{mean:.4g} ± {statistics.stdev(values):.2g}" if len(values) > 1 else f"{mean:.4g}"


def summarise(results: list[dict]) -> str:
    """A Markdown table: one row per arm."""
    lines = [
        "| arm | seeds | to 25 modes, 0.90 (s) | reached | seconds | modes | high quality | reverse KL | variance |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(result["arm"] for result in results):
        curves = [result["curve"] for result in results if result["arm"] == name]
        last = [curve[-1] for curve in curves]
        hits = [hit for hit in map(time_to_target, curves) if hit is not None]
        columns = [
            spread([line[key] for line in last])
            for key in (
                "time/training_seconds",
                "val/modes",
                "val/high_quality",
                "val/reverse_kl",
                "val/variance_ratio",
            )
        ]
        lines.append(
            f"| {name} | {len(curves)} | {spread(hits) if hits else '-'} | {len(hits)}/{len(curves)} | "
            + " | ".join(columns)
            + " |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--group", choices=sorted(GROUPS), required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=None, help="instead of the experiment's")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one thread each")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"))
    options = parser.parse_args()
    arms = GROUPS[options.group]
    folder = options.output / options.group
    jobs = [(name, arm, seed) for seed in options.seeds for name, arm in arms.items()]
    with ThreadPoolExecutor(options.workers) as pool:
        results = list(pool.map(lambda job: run(*job, options.steps, folder), jobs))
    (folder / "results.json").write_text(json.dumps(results))
    table = summarise(results)
    (folder / "table.md").write_text(table + "\n")
    curves = {
        f"{result['arm']} ({result['seed']})": (
            np.array([line["time/training_seconds"] for line in result["curve"]]),
            np.array([line["val/high_quality"] for line in result["curve"]]),
        )
        for result in results
        if result["seed"] == options.seeds[0]
    }
    figure = metric_curves(curves, "training seconds, one thread", "high quality", f"Group {options.group}")
    (folder / "quality.png").write_bytes(to_png(figure))
    print(table)


if __name__ == "__main__":
    main()
