"""A run whose critics judge packs is evaluated, sampled from and drawn like any other."""

import json

import numpy as np

from mixnash.core.games.packed import PackedGame
from mixnash.core.types import Player
from mixnash.evaluation.cli import main
from mixnash.evaluation.load import load_run
from mixnash.evaluation.sample import main as sample


def test_evaluate_command_scores_and_draws_a_packed_run(packed_run, tmp_path):
    main(["--run", str(packed_run), "--num_samples", "200", "--output", str(tmp_path / "out")])
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert all(np.isfinite(metrics[name]) for name in ("payoff_value", "payoff_min", "payoff_max", "payoff_gap"))
    assert (tmp_path / "out" / "figures" / "critic.png").stat().st_size > 1000


def test_loaded_packed_run_plays_the_packed_game_with_fresh_packed_critics(packed_run):
    module = load_run(packed_run, None).module
    assert isinstance(module.game, PackedGame)
    fresh = module.fresh(Player.CRITIC, 2, seed=0)
    assert fresh["layers.0.weight"].shape == (2, 8, 4)


def test_sample_command_draws_single_samples_from_a_packed_run(packed_run, tmp_path):
    path = tmp_path / "samples.npz"
    sample(["--run", str(packed_run), "--num_samples", "31", "--output", str(path)])
    with np.load(path) as drawn:
        assert drawn["samples"].shape == (31, 2)
