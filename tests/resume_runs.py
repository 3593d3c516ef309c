"""Whole runs by Lightning's trainer, cut anywhere: for the tests and for benchmarks/resume_matrix.py."""

import dataclasses
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint

import plugins
from mixnash.data.mixtures import PresetMixture
from mixnash.lit.callbacks.clock import TrainingClock
from mixnash.lit.callbacks.last_checkpoint import LastCheckpoint
from mixnash.lit.callbacks.pictures import Pictures
from mixnash.lit.mixed_gan import MixedGAN
from plugins import make
from resume_cases import DYNAMICS, Case, cases, cuts, dynamics_of, of_product
from training import make_trainer, mgan, small_critic, small_generator, wgan


class SaveAfter(Checkpoint):
    """Saves once after `steps` steps, and after their evaluation if there is one, as `LastCheckpoint` does."""

    def __init__(self, steps, evaluate_every, path):
        self._steps, self._path = steps, path
        self._is_evaluated = evaluate_every is not None and steps % evaluate_every == 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if not self._is_evaluated and trainer.global_step == self._steps:
            trainer.save_checkpoint(self._path)

    def on_validation_end(self, trainer, pl_module):
        if self._is_evaluated and trainer.global_step == self._steps:
            trainer.save_checkpoint(self._path)


CLOCK = "TrainingClock"
"""Its state is measured time, which no two runs share."""


@dataclass(frozen=True)
class Run:
    """A run and where it is cut."""

    case: Case | None
    """What a `MixedGAN` plays; None for one of the others."""
    other: str
    """Which, then."""
    steps: int
    cut: int
    evaluate_every: int | None
    """Steps; None for no evaluation."""
    fixed_size: int | None
    """Points of a finite set, whose end falls into the run; None for fresh ones."""
    packing: int
    precision: str
    ema_decay: float
    num_workers: int = 0


PRECISIONS = ["32-true", "32-true", "16-mixed", "32-true", "bf16-mixed"]
OTHERS = {"wgan": lambda: wgan(critic_steps=2), "mgan": lambda: mgan(critic_steps=2)}


def module_of(run):
    """A new model, initialised the same at every call."""
    if run.case is None:
        return OTHERS[run.other]()
    case = run.case
    game = make(plugins.ADVERSARIAL_GAMES, case.game, make(plugins.CONSTRAINTS, case.constraint))
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return MixedGAN(
            (2,),
            small_generator,
            small_critic,
            game,
            dynamics_of(case),
            *case.particles,
            packing=run.packing,
            sampled_generators=case.sampled[0],
            sampled_critics=case.sampled[1],
            ema_decay=run.ema_decay,
            seed=case.seed % 1000,
        )


def data_of(run):
    """Batches of 12, which no finite set here is a multiple of."""
    data = PresetMixture("pacgan-ring", fixed_size=run.fixed_size, batch_size=12, validation_size=40, seed=3)
    data.num_workers = run.num_workers
    return data


def finished(run, folder, resume_from=None):
    """The last checkpoint of a run, as far as the next step, evaluation or choice of the best depends on it."""
    best = ModelCheckpoint(
        folder / "best", monitor="val/sliced_wasserstein2", filename="{step}", enable_version_counter=False
    )
    patient = EarlyStopping("val/sliced_wasserstein2", patience=99)
    evaluating = [best, patient] if run.evaluate_every else []
    save = [SaveAfter(run.cut, run.evaluate_every, folder / "between.ckpt")] if resume_from is None else []
    trainer = make_trainer(
        folder,
        run.steps,
        [*evaluating, TrainingClock(), Pictures(2), *save, LastCheckpoint()],
        evaluate_every=run.evaluate_every,
        precision=run.precision,
    )
    torch.manual_seed(run.steps + len(save))  # nothing may come from the global generator
    trainer.fit(module_of(run), datamodule=data_of(run), ckpt_path=resume_from, weights_only=True)
    last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    names = ("global_step", "state_dict", "optimizer_states", "mixnash_state", "mixnash_precision", "loops")
    outcome = {name: last[name] for name in names if name in last}
    outcome["callbacks"] = {
        # Lightning does not restore the score of the newest best file, which nothing reads.
        name: {key: one for key, one in state.items() if key != "current_score"}
        for name, state in last["callbacks"].items()
        if not name.startswith(CLOCK)
    }
    return outcome


def both_ends(run, folder):
    """What a run ends with straight, and cut, in the same folder: best files are those that it had at the cut."""
    straight = finished(run, folder)
    return straight, finished(run, folder, folder / "between.ckpt")


def of_classes():
    """A run of every dynamics, in which all rules take part; everything else takes turns."""
    for d, dynamics in enumerate(DYNAMICS):
        own = [case for case in of_product() if case.dynamics is dynamics]
        case = own[(2 * d + d // 10 % 2) % len(own)]
        yield Run(
            dataclasses.replace(case, sampled=(2, None) if d % 4 == 1 else (None, None)),
            "",
            6,
            1 + d % 5,
            (None, 2, 3)[d % 3],
            30 if d % 2 else None,
            2 if d % 5 == 2 else 1,
            PRECISIONS[d % len(PRECISIONS)],
            (0.9, 0.0)[d % 2],
            2 if d == 3 else 0,
        )
    for turn, other in enumerate(OTHERS):
        yield Run(None, other, 6, 2 + turn, 3, 30, 1, "32-true", 0.9)


@st.composite
def runs(draw):
    """Anything that can be trained."""
    steps, cut = draw(cuts())
    return Run(
        draw(cases()),
        "",
        steps,
        cut,
        draw(st.none() | st.integers(1, 4)),
        draw(st.none() | st.integers(12, 40)),
        draw(st.sampled_from([1, 2])),
        draw(st.sampled_from(PRECISIONS)),
        draw(st.sampled_from([0.0, 0.9])),
    )
