"""The same run on 1, 2 and 4 processes, in every way to share it out: figure 2 of docs/scaling.md.

    OMP_NUM_THREADS=1 python benchmarks/process_counts.py

Every run is one of `train.py fit`, of 5 generators and 4 critics with learnt weights on batches of 30, so that little
is shared out evenly. Reported are, against one process: the largest difference of an entry of any parameter, relative
to the largest entry of its tensor, of the log-weights, and of the scores of the evaluation; in float32 and float64.

"sgd" moves by gradients as they are. "adam" divides them by their size: where a gradient is zero but for rounding, as
that of a Wasserstein critic's last bias and of hidden units that are active on all samples, rounding becomes steps of
full length in float32. Such parameters have no effect. So generators are reported apart as well, and critics by their
scores up to a constant. "langevin" is plain Langevin dynamics. "fixed" are even runs with `fixed_parts: 4`, which
processes that share the batch out repeat to the last bit, whatever the rule.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import yaml

REPOSITORY = Path(__file__).parents[1]
MESH = "mixnash.lit.parallel.strategy.PopulationStrategy"
ARMS = {
    "1 process": (1, ()),
    "2, data parallel": (2, ("--trainer.strategy=data_parallel",)),
    "4, data parallel": (4, ("--trainer.strategy=data_parallel",)),
    "2, particle parallel": (2, ("--trainer.strategy=particle_parallel",)),
    "4, particle parallel": (4, ("--trainer.strategy=particle_parallel",)),
    "4, 2 x 2": (4, (f"--trainer.strategy={MESH}", "--trainer.strategy.particle_ranks=2")),
}
ADAM = {"class_path": "mixnash.core.rules.adam.Adam", "init_args": {"step_size": 1e-3, "beta1": 0.5, "beta2": 0.9}}
SGD = {"class_path": "mixnash.core.rules.sgd.SGD", "init_args": {"step_size": 1e-2}}
LANGEVIN = {
    "class_path": "mixnash.core.rules.langevin.Langevin",
    "init_args": {"step_size": 1e-2, "temperature": 1e-6},
}
RULES = {"sgd": SGD, "langevin": LANGEVIN, "adam": ADAM}
EVEN = (
    "--data.init_args.batch_size=32",
    "--model.init_args.generator_samples=8",
    "--model.init_args.critic_samples=8",
    "--model.init_args.fixed_parts=4",
)
FIXED_ARMS = {f"fixed, {name}": (ranks, (*words, *EVEN)) for name, (ranks, words) in list(ARMS.items())[:3]}
"""One process, and two and four in data parallel."""
WEIGHTS = {"class_path": "mixnash.core.rules.entropic.EntropicMirrorDescent", "init_args": {"step_size": 0.1}}


def network(kind):
    return {"class_path": f"mixnash.networks.mlp.MLP{kind}", "init_args": {"width": 32, "depth": 2}}


def configuration(position, steps):
    """A run without pictures."""
    rules = {"position": position, "weights": WEIGHTS}
    penalty = {"class_path": "mixnash.core.games.constraints.GradientPenalty", "init_args": {"weight": 1.0}}
    return {
        "experiment": "counts",
        "trainer": {
            "accelerator": "cpu",
            "max_steps": steps,
            "val_check_interval": steps,
            "log_every_n_steps": steps,
            "enable_progress_bar": False,
            "callbacks": [{"class_path": "mixnash.lit.callbacks.last_checkpoint.LastCheckpoint"}],
        },
        "data": {
            "class_path": "mixnash.data.mixtures.PresetMixture",
            "init_args": {"preset": "pacgan-ring", "batch_size": 30, "validation_size": 1000},
        },
        "model": {
            "class_path": "mixnash.lit.mixed_gan.MixedGAN",
            "init_args": {
                "num_generators": 5,
                "num_critics": 4,
                "generator": network("Generator"),
                "critic": network("Critic"),
                "game": {
                    "class_path": "mixnash.core.games.wasserstein.Wasserstein",
                    "init_args": {"constraint": penalty},
                },
                "dynamics": {
                    "class_path": "mixnash.core.dynamics.alternating.Alternating",
                    "init_args": {"critic_steps": 2, "generators": rules, "critics": rules},
                },
            },
        },
    }


def trained(folder, position, steps, processes, words):
    """Parameters and scores at the end of a run."""
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration(position, steps)))
    typed = ["fit", f"--config={folder / 'config.yaml'}", f"--runs_dir={folder}", "--version=run", *words]
    subprocess.run(
        [sys.executable, REPOSITORY / "train.py", *typed, f"--trainer.devices={processes}"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    )
    run = folder / "counts" / "run"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    scores = {name: value for line in lines for name, value in line.items() if name.startswith("val/")}
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"], scores


def critics_scores(state, points):
    """Of MLP critics with two hidden layers, each up to a constant."""
    hidden = points
    for layer in range(3):
        weight, bias = (state[f"critics.layers/{layer}/{kind}"].double() for kind in ("weight", "bias"))
        hidden = hidden @ weight.mT + bias.unsqueeze(1)
        hidden = hidden.relu() if layer < 2 else hidden
    return hidden.squeeze(-1) - hidden.squeeze(-1).mean(1, keepdim=True)


def compared(alone, other):
    (state, scores), (found, found_scores) = alone, other

    def relative(names):
        return max(
            float((state[name] - found[name]).abs().max() / state[name].abs().max().clamp_min(1e-12)) for name in names
        )

    positions = [name for name in state if "log_weights" not in name and not name.startswith("validation_metrics")]
    worst = max(positions, key=lambda name: relative([name]))
    points = torch.randn(500, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    critics = [critics_scores(one, points) for one in (state, found)]
    return {
        "parameters": relative(positions),
        "of": worst,
        "generators": relative(name for name in positions if not name.startswith("critics.")),
        "critics_scores": float((critics[0] - critics[1]).abs().max() / critics[0].abs().max()),
        "log_weights": max(float((state[name] - found[name]).abs().max()) for name in state if "log_weights" in name),
        "metrics": max(
            abs(one - found_scores[name]) / max(abs(one), 1e-12) for name, one in scores.items() if one == one
        ),
    }


def compare(rule, precision, steps, arms):
    """The runs of some arms against the first of them."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        first = None
        for number, (name, (processes, words)) in enumerate(arms.items()):
            typed = [*words, f"--trainer.precision={precision}"]
            run = trained(Path(folder) / str(number), RULES[rule], steps, processes, typed)
            first = first or run
            rows.append({"rule": rule, "precision": precision, "run": name, **compared(first, run)})
            texts = (f"{key} {one:.1e}" if isinstance(one, float) else f"{one}" for key, one in rows[-1].items())
            print("  ".join(texts), flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rules", nargs="*", choices=RULES, default=list(RULES))
    parser.add_argument("--precisions", nargs="*", default=["32-true", "64-true"])
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks/process_counts.json"))
    options = parser.parse_args()
    results = []
    for rule in options.rules:
        for precision in options.precisions:
            for arms in (ARMS, FIXED_ARMS):
                results += compare(rule, precision, options.steps, arms)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=1))
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
