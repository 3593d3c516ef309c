"""`evaluate.py --reweight`: known weights are found, files are right, bad input is refused."""

import copy
import json

import pytest
import torch
import yaml

from mixnash.core.errors import InvalidInputError
from mixnash.core.games.constraints import Unconstrained
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.population import make_population
from mixnash.evaluation import reweight
from mixnash.evaluation.cli import main
from mixnash.evaluation.load import build_run, load_run
from mixnash.evaluation.reweight import check_reweighting, evaluate_reweighting
from mixnash.lit.checkpoints import CONFIG

CENTRES = [[-2.0, 0.0], [2.0, 0.0], [0.0, 2.0]]
RIGHT = [0.6, 0.1, 0.3]  # of the generators, which stand at the modes in another order
ORDER = [2, 0, 1]
CRITIC = {"class_path": "mixnash.networks.mlp.MLPCritic", "init_args": {"width": 24, "depth": 2}}
GAME = {
    "class_path": "mixnash.core.games.wasserstein.Wasserstein",
    "init_args": {
        "constraint": {
            "class_path": "mixnash.core.games.constraints.GradientPenalty",
            "init_args": {"weight": 1.0, "one_sided": True},
        }
    },
}


@pytest.fixture(scope="module")
def modes_run(mixture_run, tmp_path_factory):
    """The tiny run with generators that stand still, one at each mode, of equal weight; the modes' are unequal."""
    folder = tmp_path_factory.mktemp("modes") / "run"
    (folder / "checkpoints").mkdir(parents=True)
    weights = [0.0] * 3
    for generator, mode in enumerate(ORDER):
        weights[mode] = RIGHT[generator]
    config = copy.deepcopy(yaml.safe_load((mixture_run / "config.yaml").read_text()))
    config["data"]["init_args"] |= {"centres": CENTRES, "scales": [0.2] * 3, "weights": weights}
    config["model"]["init_args"] |= {"critic": CRITIC, "game": GAME, "num_critics": 1}
    module = build_run(config, folder).model
    old = module.generators.population()
    params = {name: torch.zeros_like(leaf) for name, leaf in old.params.items()}
    # Hidden units 0 to 3 are z1+, z1-, z2+, z2-: samples centre + 0.2 z.
    params["layers.0.weight"][:, :4] = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    params["layers.1.weight"][:, 0, :2] = torch.tensor([0.2, -0.2])
    params["layers.1.weight"][:, 1, 2:4] = torch.tensor([0.2, -0.2])
    params["layers.1.bias"] = torch.tensor(CENTRES)[ORDER]
    module.generators.assign(make_population(params))
    module.averaged.update(params, 0)
    module.averaged.load_state_dict({name.replace(".", "/"): leaf for name, leaf in params.items()})
    text = yaml.safe_dump(config)
    (folder / "config.yaml").write_text(text)
    content = {"state_dict": module.state_dict(), CONFIG: text, "global_step": 9}
    torch.save(content, folder / "checkpoints" / "last.ckpt")
    return folder


@pytest.fixture(scope="module")
def reweighted(modes_run, tmp_path_factory):
    """The folder of files, by the command."""
    folder = tmp_path_factory.mktemp("reweighted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reweight, "STEPS", 60)
        patch.setattr(reweight, "STEP_SIZE", 5e-3)
        main(["--run", str(modes_run), "--num_samples", "1000", "--output", str(folder), "--reweight", "--rounds", "8"])
    return folder


def test_unequal_weights_of_the_data_are_found(reweighted):
    record = json.loads((reweighted / "reweighted.json").read_text())
    assert record["weights_before"] == pytest.approx([1 / 3] * 3)
    assert record["weights_after"] == pytest.approx(RIGHT, abs=0.05)
    assert record["after"]["worst_payoff"] < 0.4 * record["before"]["worst_payoff"]
    assert record["after"]["reverse_kl"] < 0.02 < record["before"]["reverse_kl"]
    solved = record["worst_payoff_when_solved"]
    assert solved["bound"] <= solved["after"] + 1e-9
    assert solved["after"] < solved["before"]


def test_the_checkpoint_holds_the_new_weights_and_nothing_else_new(reweighted, modes_run):
    record = json.loads((reweighted / "reweighted.json").read_text())
    new, old = load_run(None, reweighted / "reweighted.ckpt"), load_run(modes_run, None)
    weights = new.module.profile(averaged=True).generators.log_weights.exp()
    assert weights.tolist() == pytest.approx(record["weights_after"], abs=1e-6)
    before, after = old.module.state_dict(), new.module.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"generators.log_weights"}
    assert new.step == old.step


def test_the_picture_is_there(reweighted):
    assert (reweighted / "reweighted.png").read_bytes().startswith(b"\x89PNG")


def test_equal_seeds_find_equal_weights(modes_run, monkeypatch):
    monkeypatch.setattr(reweight, "STEPS", 3)
    run = load_run(modes_run, None)
    found = [evaluate_reweighting(run, 100, 2, seed, True).solution.weights for seed in (1, 1, 2)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_weights_are_not_scored_on_samples_that_they_were_solved_on_though_held_out_ones_repeat(modes_run, monkeypatch):
    run, halves = load_run(modes_run, None), []
    few = run.data.held_out(40)[torch.arange(200) % 40]  # as of images: fewer different ones than asked for
    monkeypatch.setattr(run.data, "held_out", lambda count: few[:count])
    monkeypatch.setattr(reweight, "STEPS", 1)
    batches = reweight._batches

    def spy(run, real, *key):
        halves.append({tuple(one) for one in real.tolist()})
        return batches(run, real, *key)

    monkeypatch.setattr(reweight, "_batches", spy)
    evaluate_reweighting(run, 100, 1, 0, True)
    solved, scored = halves
    assert len(solved) == len(scored) == 20
    assert not solved & scored


def test_what_cannot_be_reweighted_is_refused(mixture_run, wgan_run, modes_run, monkeypatch):
    with pytest.raises(InvalidInputError, match="one generator, so there are no weights"):
        check_reweighting(load_run(wgan_run, None), 3, 100)
    with pytest.raises(InvalidInputError, match="rounds must be at least 1, found 0"):
        check_reweighting(load_run(mixture_run, None), 0, 100)
    run = load_run(modes_run, None)
    monkeypatch.setattr(run.module, "_game", Wasserstein(Unconstrained()))
    with pytest.raises(InvalidInputError, match="critics of this Wasserstein game can win without bound"):
        check_reweighting(run, 3, 100)


def test_rounds_without_reweight_are_refused(modes_run, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--run", str(modes_run), "--rounds", "3"])
    assert stop.value.code == 2
    assert "--rounds belongs to the search for better weights" in capsys.readouterr().err


def test_a_single_round_which_could_change_nothing_is_refused(modes_run, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--run", str(modes_run), "--reweight", "--rounds", "1"])
    assert stop.value.code == 2
    assert "--rounds must be at least 2, found 1" in capsys.readouterr().err
