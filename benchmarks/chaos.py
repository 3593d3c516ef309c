"""Kill a training again and again, resume it, change its number of processes, and compare with one left in peace.

    python benchmarks/chaos.py --rounds 20 --seed 0

Two kinds of runs take turns: one keeps to one process and must end bit for bit like the undisturbed run; the other
goes on with 1, 2 or 4 processes, sharing out the batch or the particles, and must end like it but for rounding.
Processes are killed while they start, in steps, in evaluations and while they save; all at once as in a power cut, only
the first, or only another one. After every round the folder must hold a whole checkpoint that lost nothing but steps
after it, and no process may be left. The population has noisy positions and entropic weights, on the 25 Gaussians.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from torch import Tensor

from mixnash.core.errors import InvalidInputError
from mixnash.lit.checkpoints import read_checkpoint

REPOSITORY = Path(__file__).parents[1]
EVERY = 6
"""Steps between evaluations, and so between checkpoints."""
AHEAD = 10
"""A training is killed at most so many steps after it was resumed."""
PATIENCE = 300.0
"""Seconds after which a process counts as hung; starting takes most of them on a busy machine."""
ENDING = 60.0
"""Seconds in which processes have to end that lost another one."""
LEAST = 1e-6
"""Norm of a tensor that counts as nothing."""
STARTING = 8.0
"""Seconds within which kills during the start come."""

NETWORK = {"width": 32, "depth": 2}
POSITION = {
    "class_path": "mixnash.core.rules.preconditioned_langevin.PreconditionedLangevin",
    "init_args": {"step_size": 1e-3, "temperature": 1e-4, "epsilon": 1e-2},
}
WEIGHTS = {"class_path": "mixnash.core.rules.entropic.EntropicMirrorDescent", "init_args": {"step_size": 0.05}}
RULES = {"position": POSITION, "weights": WEIGHTS}
CONFIG: dict[str, Any] = {
    "experiment": "chaos",
    "trainer": {
        "accelerator": "cpu",
        "val_check_interval": EVERY,
        "log_every_n_steps": 1,
        "enable_progress_bar": False,
        "callbacks": [
            {"class_path": "mixnash.lit.callbacks.last_checkpoint.LastCheckpoint"},
            {"class_path": "mixnash.lit.callbacks.run_state.RunState"},
        ],
    },
    "data": {
        "class_path": "mixnash.data.mixtures.PresetMixture",
        "init_args": {"preset": "pacgan-grid", "batch_size": 64, "validation_size": 500},
    },
    "model": {
        "class_path": "mixnash.lit.mixed_gan.MixedGAN",
        "init_args": {
            "num_generators": 6,
            "num_critics": 4,
            "generator": {"class_path": "mixnash.networks.mlp.MLPGenerator", "init_args": NETWORK},
            "critic": {"class_path": "mixnash.networks.mlp.MLPCritic", "init_args": NETWORK},
            "game": {
                "class_path": "mixnash.core.games.wasserstein.Wasserstein",
                "init_args": {
                    "constraint": {
                        "class_path": "mixnash.core.games.constraints.GradientPenalty",
                        "init_args": {"weight": 0.1},
                    }
                },
            },
            "dynamics": {
                "class_path": "mixnash.core.dynamics.alternating.Alternating",
                "init_args": {"critic_steps": 2, "generators": RULES, "critics": RULES},
            },
        },
    },
}


class Shape(NamedTuple):
    """How many processes, and what they share out."""

    processes: int
    strategy: str

    @property
    def words(self) -> list[str]:
        return [f"--trainer.devices={self.processes}", f"--trainer.strategy={self.strategy}"]


ALONE = Shape(1, "auto")
SHAPES = [ALONE, *(Shape(count, name) for count in (2, 4) for name in ("data_parallel", "particle_parallel"))]


class FailedError(Exception):
    """Something was lost, or hung."""


class Attack(NamedTuple):
    """When and how a training is killed."""

    moment: str
    """`start`, `step` or `save`."""
    number: signal.Signals
    victims: str
    """`all`, `first` or `another`."""
    seconds: float
    """After the start."""
    steps: int
    """After the checkpoint that the training began with."""


def drawn(rng: random.Random, shape: Shape) -> Attack:
    """Any attack; a signal that can be obeyed goes to one process, as `kill` or a scheduler would send it."""
    number = signal.SIGKILL if rng.random() < 0.75 else signal.SIGTERM
    victims = rng.choice(["all", "first", "another"]) if shape.processes > 1 else "all"
    if number is signal.SIGTERM:
        victims = "first"
    moment = rng.choices(["start", "step", "save"], [1, 4, 2])[0]
    return Attack(moment, number, victims, rng.uniform(0.0, STARTING), rng.randint(1, AHEAD))


class Training:
    """One run folder, and the process that works in it."""

    def __init__(self, folder: Path, version: str, steps: int, shapes: list[Shape]) -> None:
        self.version, self.shapes = version, shapes
        self.folder = folder / "runs" / "chaos" / version
        self._config = folder / "chaos.yaml"
        self._begin = ["--config", str(self._config), f"--runs_dir={folder / 'runs'}", f"--version={version}"]
        self._begin.append(f"--trainer.max_steps={steps}")
        self._log = (folder / f"{version}.log").open("ab")
        self.has_changed = False

    def start(self, shape: Shape) -> "subprocess.Popen[bytes]":
        """Begin, or resume where there is a checkpoint."""
        goes_on = any((self.folder / "checkpoints").glob("*.ckpt"))
        if not goes_on and self.folder.exists():  # killed before its first checkpoint: the same run begins anew
            self.folder.rename(self.folder.with_name(f"{self.folder.name}_unborn_{time.time_ns()}"))
        words = ["--resume", str(self.folder)] if goes_on else self._begin
        self.has_changed |= shape.processes > 1
        return subprocess.Popen(
            [sys.executable, str(REPOSITORY / "train.py"), "fit", *words, *shape.words],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def kept(self) -> int:
        """Steps of the newest whole checkpoint; 0 if there is none yet.

        Raises:
            FailedError: when there are checkpoints, and none is whole.
        """
        steps = []
        paths = list((self.folder / "checkpoints").glob("*.ckpt"))
        for path in paths:
            try:
                steps.append(int(read_checkpoint(path)["global_step"]))
            except InvalidInputError:
                print(f"    {path.name} is not whole")
        if paths and not steps:
            raise FailedError(f"no whole checkpoint in {self.folder}")
        return max(steps, default=0)

    def logged(self) -> int:
        """The last step in metrics.jsonl; 0 if there is none."""
        path = self.folder / "metrics.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
        return int(json.loads(lines[-1])["step"]) if lines else 0

    def files(self) -> dict[str, int]:
        """What is in the folder of checkpoints, with times of change: whoever sees it change sees a save."""
        found = {}
        for path in (self.folder / "checkpoints").glob("*"):
            try:
                found[path.name] = path.stat().st_mtime_ns
            except FileNotFoundError:  # it was a temporary one
                found[path.name] = 0
        return found


def wait_for_moment(training: Training, process: "subprocess.Popen[bytes]", attack: Attack, begun: int) -> None:
    """Until the attack is due, or the training is over.

    Raises:
        FailedError: when nothing happens for too long.
    """
    start, before, files = time.monotonic(), training.logged(), training.files()
    while process.poll() is None:
        passed, logged = time.monotonic() - start, training.logged()
        is_training = logged != before  # the first line that this process has written
        due = {
            "start": passed >= attack.seconds,
            "step": is_training and logged >= begun + attack.steps,
            "save": is_training and training.files() != files,
        }
        if due[attack.moment]:
            return
        if passed > PATIENCE:
            raise FailedError(f"nothing happened for {PATIENCE:.0f} s")
        time.sleep(0.002)


def strike(process: "subprocess.Popen[bytes]", attack: Attack) -> None:
    """Send the signal to the victims."""
    if process.poll() is not None:
        return
    if attack.victims == "all":
        os.killpg(process.pid, attack.number)
        return
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False)
    others = [int(one) for one in children.stdout.split()]
    os.kill(others[0] if others and attack.victims == "another" else process.pid, attack.number)


def wait_for_end(process: "subprocess.Popen[bytes]", seconds: float) -> int:
    """The exit code, once no process of the session is left.

    Raises:
        FailedError: when some go on; they are killed.
    """
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)  # an error once nobody is left
            time.sleep(0.05)
    except ProcessLookupError:
        return process.wait()
    os.killpg(process.pid, signal.SIGKILL)
    raise FailedError(f"processes go on for {seconds:.0f} s")


def attacked(training: Training, shape: Shape, attack: Attack) -> str:
    """One round: start, kill, look at what is left.

    Raises:
        FailedError: when something was lost or hung.
    """
    begun = training.kept()
    process = training.start(shape)
    wait_for_moment(training, process, attack, begun)
    reached = training.logged()
    strike(process, attack)
    code = wait_for_end(process, ENDING)
    kept = training.kept()
    if kept < begun:
        raise FailedError(f"checkpoints went back from step {begun} to {kept}")
    due = (
        (reached - 1) // EVERY * EVERY
    )  # what follows a step, its checkpoint included, is done before the next is logged
    if attack.moment != "start" and kept < due:
        raise FailedError(f"step {reached} was reached, but the newest checkpoint is of step {kept}")
    if attack.number is signal.SIGTERM and attack.moment != "start" and (code not in {143, 0} or kept < reached):
        raise FailedError(f"SIGTERM at step {reached} left exit code {code} and a checkpoint of step {kept}")
    what = f"{attack.number.name} to {attack.victims} at {attack.moment}"
    return f"{what:<28} reached {reached:>4}, kept {kept:>4}, exit code {code}"


def finish(training: Training, shape: Shape) -> None:
    """Let a training end in peace.

    Raises:
        FailedError: when it does not.
    """
    code = wait_for_end(training.start(shape), PATIENCE)
    if code != 0:
        raise FailedError(f"exit code {code} of {training.version}: see its log")


def state(training: Training) -> dict[str, Tensor]:
    """Every tensor that the next step would start from."""
    saved = read_checkpoint(training.folder / "checkpoints" / "last.ckpt")
    found = {f"{part}/{name}": one for part in ("state_dict", "mixnash_state") for name, one in saved[part].items()}
    return {name: torch.as_tensor(one) for name, one in found.items()}


def difference(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The largest distance of any tensor, relative to its norm; infinite where names differ.

    A Wasserstein critic's last bias has no gradient, so that its mean square holds nothing but rounding: tensors of a
    norm below `LEAST` are taken to have that one.
    """
    if found.keys() != expected.keys():
        return float("inf")
    pairs = ((found[name].double(), expected[name].double()) for name in expected)
    return max(float((one - other).norm() / other.norm().clamp_min(LEAST)) for one, other in pairs)


def verdict(training: Training, expected: dict[str, Tensor], tolerance: float) -> bool:
    """Compare a finished training with the undisturbed one, and print."""
    apart = difference(state(training), expected)
    allowed = tolerance if training.has_changed else 0.0
    kind = "changing processes" if training.has_changed else "one process"
    good = apart <= allowed
    print(f"{training.version} ({kind}): {apart:.1e} from the undisturbed run, allowed {allowed:.0e}", flush=True)
    return good


def chaos(folder: Path, rounds: int, rng: random.Random, steps: int, tolerance: float) -> bool:
    """All rounds; whether all went well."""
    (folder / "chaos.yaml").write_text(yaml.safe_dump(CONFIG))
    calm = Training(folder, "calm", steps, [ALONE])
    finish(calm, ALONE)
    expected = state(calm)
    print(f"undisturbed run of {steps} steps: done", flush=True)
    training: Training | None = None
    kills = runs = 0
    good = True
    while kills < rounds or training is not None:
        if training is None:
            training = Training(folder, f"run_{runs}", steps, [ALONE] if runs % 2 == 0 else SHAPES)
            runs += 1
        shape = rng.choice(training.shapes)
        if kills < rounds:
            kills += 1
            line = attacked(training, shape, drawn(rng, shape))
            print(f"{kills:>3} {training.version} {shape.processes} {shape.strategy:<18}{line}", flush=True)
        else:
            finish(training, shape)
        if training.kept() >= steps:
            good &= verdict(training, expected, tolerance)
            training = None
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="kills")
    parser.add_argument("--seed", type=int, default=0, help="of when and how")
    parser.add_argument("--steps", type=int, default=30, help="of each training")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="relative, where the number of processes changed")
    parser.add_argument("--folder", type=Path, default=None, help="kept afterwards; a temporary one if not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            good = chaos(folder, options.rounds, random.Random(options.seed), options.steps, options.tolerance)
        except FailedError as error:
            print(f"failed: {error}")
            good = False
    print(f"{options.rounds} rounds: {'all survived' if good else 'NOT survived'}")
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
