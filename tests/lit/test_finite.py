"""A run that stops being finite stops with a message that names player, particle and step, and keeps what was good."""

import math

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from mixnash.cli import main
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import NonFiniteError
from mixnash.core.population import make_population
from mixnash.core.rules.adam import Adam
from mixnash.core.types import Profile
from mixnash.lit.callbacks.last_checkpoint import LastCheckpoint
from mixnash.lit.finite import FiniteGuard, check_positions
from training import adam_dynamics, make_trainer, mixed_gan, ring, rules, tiny_config, wgan

NAN, INF = math.nan, math.inf


def complaint(*evaluations):
    """What the guard says of evaluations (step, values, critic losses)."""
    guard = FiniteGuard()
    for step, values, losses in evaluations:
        guard.watch(step, torch.tensor(values), torch.tensor(losses))
    with pytest.raises(NonFiniteError) as caught:
        guard.check()
    return str(caught.value).split(".")[0]


def test_guard_is_content_with_finite_losses_and_with_none():
    guard = FiniteGuard()
    guard.check()
    guard.watch(3, torch.tensor([[1.0, 2.0]]), torch.tensor([0.0, 1e30]))
    guard.check()


def test_guard_names_the_generator_whose_row_is_spoiled():
    values = [[1.0, 2.0], [0.5, 0.1], [NAN, INF]]
    assert complaint((7, values, [NAN, NAN])) == "The loss of generator 2 became non-finite at step 7"


def test_guard_names_the_critic_whose_column_is_spoiled():
    values = [[1.0, NAN], [0.5, NAN], [0.1, NAN]]
    assert complaint((7, values, [1.0, NAN])) == "The loss of critic 1 became non-finite at step 7"


def test_guard_names_the_critic_whose_penalty_alone_is_spoiled():
    values = [[1.0, 2.0, 3.0], [0.5, 0.1, 0.2]]
    assert complaint((4, values, [1.0, 2.0, INF])) == "The loss of critic 2 became non-finite at step 4"


def test_guard_blames_a_lonely_particle_when_all_its_opponents_are_spoiled():
    assert complaint((1, [[NAN], [NAN], [NAN]], [NAN])) == "The loss of critic 0 became non-finite at step 1"
    assert complaint((1, [[NAN, NAN]], [NAN, NAN])) == "The loss of generator 0 became non-finite at step 1"
    assert complaint((1, [[NAN]], [NAN])) == "The loss of generator 0 and critic 0 became non-finite at step 1"


def test_guard_reports_the_first_evaluation_only():
    fine, first = (5, [[1.0], [2.0]], [0.0]), (6, [[1.0], [NAN]], [NAN])
    spread = (6, [[NAN], [NAN]], [NAN])
    assert complaint(fine, first, spread) == "The loss of generator 1 became non-finite at step 6"


def test_guard_watches_evaluations_of_different_sizes():
    fine, spoiled = (2, [[1.0, 2.0, 3.0]], [0.0, 0.0, 0.0]), (3, [[1.0], [2.0], [3.0]], [NAN])
    assert complaint(fine, spoiled) == "The loss of critic 0 became non-finite at step 3"


def positions(generators, critics, log_weights=(0.0, 0.0)):
    return Profile(
        make_population({"a": torch.tensor(generators)}, torch.tensor(log_weights)),
        make_population({"b.c": torch.tensor(critics).unsqueeze(-1)}),
    )


def alone(player, rows):
    """What all processes know if there is but one."""
    return rows


def test_positions_are_checked_particle_by_particle():
    check_positions(positions([[1.0], [2.0]], [[1.0, 2.0], [3.0, 4.0]]), 5, alone)
    with pytest.raises(NonFiniteError, match="parameters of generator 1 are non-finite after step 4"):
        check_positions(positions([[1.0], [INF]], [[1.0, 2.0]]), 5, alone)
    with pytest.raises(NonFiniteError, match="parameters of critic 2 are non-finite after step 0"):
        check_positions(positions([[1.0], [2.0]], [[1.0, 2.0], [3.0, 4.0], [5.0, NAN]]), 1, alone)


def test_log_weights_are_checked_too():
    profile = positions([[1.0], [2.0]], [[1.0, 2.0]])
    broken = profile.generators._replace(log_weights=torch.tensor([0.0, NAN]))
    with pytest.raises(NonFiniteError, match="generator 1"):
        check_positions(profile._replace(generators=broken), 3, alone)


class Fault(pl.Callback):
    """Breaks one particle of the dynamics' state before a step."""

    def __init__(self, player, particle, at):
        self._player, self._particle, self._at = player, particle, at

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self._at:
            population = getattr(pl_module.profile(averaged=False), f"{self._player}s")
            next(iter(population.params.values()))[self._particle] = NAN


DYNAMICS = {
    "alternating": lambda: adam_dynamics(critic_steps=2),
    "simultaneous": lambda: Simultaneous(rules(Adam(1e-3)), rules(Adam(1e-3))),
}


@pytest.mark.parametrize("log_every", [2, 100])
@pytest.mark.parametrize(("player", "particle"), [("generator", 2), ("critic", 1)])
@pytest.mark.parametrize("dynamics", DYNAMICS.values(), ids=list(DYNAMICS))
def test_run_stops_at_the_broken_particle_and_keeps_the_last_good_checkpoint(
    dynamics, player, particle, log_every, tmp_path
):
    callbacks = [LastCheckpoint(), Fault(player, particle, at=6)]
    trainer = make_trainer(tmp_path, 20, callbacks, evaluate_every=4, log_every=log_every)
    with pytest.raises(NonFiniteError, match=f"loss of {player} {particle} became non-finite at step 6"):
        trainer.fit(mixed_gan(dynamics()), datamodule=ring())
    kept = tmp_path / "checkpoints" / "last.ckpt"
    assert torch.load(kept, weights_only=True)["global_step"] == 4
    resumed = make_trainer(tmp_path, 9, evaluate_every=4)
    resumed.fit(mixed_gan(dynamics()), datamodule=ring(), ckpt_path=kept, weights_only=True)
    assert resumed.global_step == 9


@pytest.mark.parametrize("player", ["generator", "critic"])
def test_run_of_a_wgan_stops_at_the_step_that_was_not_finite(player, tmp_path):
    class BrokenModule(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if trainer.global_step == 3:
                nn.init.constant_(next(iter(getattr(pl_module, player).parameters())), NAN)

    with pytest.raises(NonFiniteError, match="generator 0 and critic 0 became non-finite at step 3"):
        make_trainer(tmp_path, 20, [BrokenModule()], log_every=2).fit(wgan(), datamodule=ring())


def test_run_without_any_log_step_is_checked_when_it_ends(tmp_path):
    with pytest.raises(NonFiniteError, match="critic 0 became non-finite at step 2"):
        make_trainer(tmp_path, 5, [Fault("critic", 0, at=2)], log_every=0).fit(
            mixed_gan(adam_dynamics(), critics=1), datamodule=ring()
        )


def test_update_that_spoils_a_particle_after_its_loss_is_not_saved(tmp_path):
    class LateFault(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if trainer.global_step == 4:
                next(iter(pl_module.profile(averaged=False).generators.params.values()))[2] = INF

    trainer = make_trainer(tmp_path, 9, [LastCheckpoint(), LateFault()], evaluate_every=2)
    with pytest.raises(NonFiniteError, match="parameters of generator 2 are non-finite after step 3"):
        trainer.fit(mixed_gan(adam_dynamics()), datamodule=ring())
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2


def test_command_exits_with_3_and_one_sentence_when_a_step_size_overflows(tmp_path, capsys):
    steep = {"class_path": "mixnash.core.rules.sgd.SGD", "init_args": {"step_size": 1e25}}
    frozen = {"class_path": "mixnash.core.rules.frozen.Frozen"}
    dynamics = {"init_args": {"critics": {"position": steep, "weights": frozen}}}
    config = tiny_config(tmp_path, {"model": {"init_args": {"num_critics": 1, "dynamics": dynamics}}})
    with pytest.raises(SystemExit) as caught:
        main(["fit", f"--config={config}", f"--runs_dir={tmp_path / 'runs'}"])
    assert caught.value.code == 3
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: The loss of critic 0 became non-finite at step 0. ")
