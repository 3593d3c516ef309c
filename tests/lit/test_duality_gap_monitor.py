"""The cheap duality gap that is logged while training."""

import json

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.games.constraints import Unconstrained
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.data.digits import Digits
from mixnash.lit.callbacks.duality_gap import DualityGapMonitor
from mixnash.lit.deviations import split_held_out
from mixnash.lit.jsonl_logger import JsonLinesLogger
from training import adam_dynamics, assert_same, make_trainer, mixed_gan, ring, wgan

MONITOR = {"every_n_steps": 2, "steps": 2, "starts": 1, "samples": 16}


def trained(module, folder, callbacks):
    torch.manual_seed(3)
    folder.mkdir()
    make_trainer(folder, 4, callbacks, [JsonLinesLogger(folder)], log_every=1).fit(module, datamodule=ring())
    state = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(state)
    return state, torch.get_rng_state()


@pytest.mark.parametrize("make", [lambda: mixed_gan(adam_dynamics()), wgan], ids=["mixture", "WGAN"])
def test_a_run_with_the_monitor_is_the_run_without_it_bit_by_bit_and_logs_every_n_steps(make, tmp_path):
    watched = trained(make(), tmp_path / "with", [DualityGapMonitor(**MONITOR)])
    assert_same(watched, trained(make(), tmp_path / "without", []))
    lines = [json.loads(text) for text in (tmp_path / "with" / "metrics.jsonl").read_text().splitlines()]
    gaps = {line["step"]: line for line in lines if "equilibrium/gap_lower_bound" in line}
    assert list(gaps) == [2, 4]
    assert all(isinstance(line["equilibrium/gap_restricted"], float) for line in gaps.values())
    assert "equilibrium" not in (tmp_path / "without" / "metrics.jsonl").read_text()


def test_unbounded_critics_and_impossible_numbers_are_refused_before_training(tmp_path):
    module = mixed_gan(adam_dynamics(), game=Wasserstein(Unconstrained()))
    with pytest.raises(InvalidInputError, match="can win without bound"):
        make_trainer(tmp_path, 2, [DualityGapMonitor(**MONITOR)]).fit(module, datamodule=ring())
    for name, least in (("every_n_steps", 1), ("steps", 1), ("starts", 1), ("samples", 2)):
        with pytest.raises(InvalidInputError, match=f"{name} .* must be at least {least}, found {least - 1}"):
            DualityGapMonitor(**MONITOR | {name: least - 1})


@pytest.mark.parametrize("data", [ring(), Digits()], ids=["fresh draws", "few images"])
def test_choosing_and_scoring_share_no_held_out_sample(data):
    first, second = (part.flatten(1) for part in split_held_out(data, 100, 300, seed=1))
    assert (len(first), len(second)) == (100, 300)
    assert not {tuple(one) for one in first.tolist()} & {tuple(one) for one in second.tolist()}
