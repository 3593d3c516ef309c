import numpy as np
import pytest
import torch
import yaml

from mixnash.core.errors import InvalidInputError
from mixnash.data.mixtures import CustomMixture
from mixnash.evaluation.load import load_run, pick_device
from mixnash.lit.checkpoint_files import write_checkpoint
from mixnash.lit.checkpoints import CONFIG
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.lit.wgan import WGAN


@pytest.fixture
def tampered(mixture_run, tmp_path):
    """Saves the run's last checkpoint after a change; gives its path."""

    def save(change):
        content = torch.load(mixture_run / "checkpoints" / "last.ckpt", weights_only=True)
        change(content)
        write_checkpoint(content, tmp_path / "changed.ckpt")
        return tmp_path / "changed.ckpt"

    return save


def edit_config(content, change):
    config = yaml.safe_load(content[CONFIG])
    change(config)
    content[CONFIG] = yaml.safe_dump(config)


def test_last_checkpoint_is_loaded_with_its_weights_step_and_linked_arguments(mixture_run):
    run = load_run(mixture_run, None)
    saved = torch.load(mixture_run / "checkpoints" / "last.ckpt", weights_only=True)
    assert run.checkpoint_path == mixture_run / "checkpoints" / "last.ckpt"
    assert (run.step, run.experiment, run.folder) == (10, "three-modes", mixture_run)
    assert isinstance(run.module, MixedGAN)
    assert not run.module.training
    assert isinstance(run.data, CustomMixture)
    assert run.module.seed == run.data.seed == 7
    state = run.module.state_dict()
    assert state.keys() == saved["state_dict"].keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in saved["state_dict"].items())
    assert run.config == saved[CONFIG]


def test_best_checkpoint_is_the_one_file_of_that_name(mixture_run):
    run = load_run(mixture_run, None, "best")
    assert run.checkpoint_path.name == f"best-step={run.step}.ckpt"


def test_checkpoint_in_a_run_folder_belongs_to_that_run(wgan_run):
    run = load_run(None, wgan_run / "checkpoints" / "last.ckpt")
    assert isinstance(run.module, WGAN)
    assert run.folder == wgan_run


def test_checkpoint_elsewhere_is_enough_and_belongs_to_its_own_folder(wgan_run, tmp_path):
    copy = tmp_path / "deep" / "alone.ckpt"
    copy.parent.mkdir()
    copy.write_bytes((wgan_run / "checkpoints" / "last.ckpt").read_bytes())
    run = load_run(None, copy)
    assert run.folder == copy.parent
    assert run.step == 10


def test_loading_leaves_global_random_states_alone(mixture_run):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    load_run(mixture_run, None)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


def test_exactly_one_source_is_needed(mixture_run):
    with pytest.raises(InvalidInputError, match="exactly one of --run RUN_DIR and --checkpoint FILE, found neither"):
        load_run(None, None)
    with pytest.raises(InvalidInputError, match="found both"):
        load_run(mixture_run, mixture_run / "checkpoints" / "last.ckpt")


def test_which_needs_a_run_and_a_known_name(mixture_run):
    with pytest.raises(InvalidInputError, match="found 'best' with --checkpoint"):
        load_run(None, mixture_run / "checkpoints" / "last.ckpt", "best")
    with pytest.raises(InvalidInputError, match="must be one of last, best, found 'worst'"):
        load_run(mixture_run, None, "worst")


def test_folders_that_are_no_runs_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match=r"There is no run folder '.*nowhere'"):
        load_run(tmp_path / "nowhere", None)
    with pytest.raises(InvalidInputError, match=r"is not a run folder: it has no config.yaml"):
        load_run(tmp_path, None)


def test_missing_and_several_checkpoints_are_named(tmp_path):
    (tmp_path / "config.yaml").touch()
    with pytest.raises(InvalidInputError, match=r"holds no checkpoints/last.ckpt"):
        load_run(tmp_path, None)
    with pytest.raises(InvalidInputError, match=r"holds no checkpoints/best-\*.ckpt"):
        load_run(tmp_path, None, "best")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best-step=5.ckpt").touch()
    (tmp_path / "checkpoints" / "best-step=10.ckpt").touch()
    with pytest.raises(InvalidInputError, match=r"2 best checkpoints .best-step=10.ckpt, best-step=5.ckpt."):
        load_run(tmp_path, None, "best")


def test_missing_torn_and_foreign_files_are_refused(mixture_run, tmp_path):
    with pytest.raises(InvalidInputError, match="There is no checkpoint"):
        load_run(None, tmp_path / "none.ckpt")
    torn = tmp_path / "torn.ckpt"
    torn.write_bytes((mixture_run / "checkpoints" / "last.ckpt").read_bytes()[:5000])
    with pytest.raises(InvalidInputError, match="torn or not a checkpoint"):
        load_run(None, torn)
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(InvalidInputError, match="was not written by mixnash"):
        load_run(None, tmp_path / "foreign.ckpt")


def test_configuration_without_model_is_refused(tampered):
    path = tampered(lambda content: edit_config(content, lambda config: config.pop("model")))
    with pytest.raises(InvalidInputError, match="names no model and data"):
        load_run(None, path)


def test_configuration_that_is_not_yaml_is_refused(tampered):
    path = tampered(lambda content: content.update({CONFIG: "model: ["}))
    with pytest.raises(InvalidInputError, match="is not YAML"):
        load_run(None, path)


def test_class_outside_the_project_is_refused(tampered):
    path = tampered(
        lambda content: edit_config(content, lambda config: config["model"].update(class_path="subprocess.Popen"))
    )
    with pytest.raises(InvalidInputError, match=r"does not fit this version of mixnash.*\(Cause: model.*Popen"):
        load_run(None, path)


def test_argument_that_this_version_does_not_know_is_named(tampered):
    path = tampered(
        lambda content: edit_config(content, lambda config: config["model"]["init_args"].update(num_oracles=3))
    )
    with pytest.raises(InvalidInputError, match=r"\(Cause: .*num_oracles"):
        load_run(None, path)


def test_argument_out_of_range_is_named(tampered):
    path = tampered(
        lambda content: edit_config(content, lambda config: config["model"]["init_args"].update(ema_decay=1.5))
    )
    with pytest.raises(InvalidInputError, match=r"\(Cause: The decay of the moving average .* found 1.5"):
        load_run(None, path)


def test_weights_of_another_architecture_are_named_with_both_shapes(tampered):
    path = tampered(
        lambda content: edit_config(content, lambda config: config["model"]["init_args"].update(num_critics=4))
    )
    with pytest.raises(InvalidInputError, match=r"'critics.*expected shape \[4.*found shape \[2"):
        load_run(None, path)


def test_missing_weights_are_named(tampered):
    path = tampered(lambda content: content["state_dict"].pop("generators.log_weights"))
    with pytest.raises(
        InvalidInputError, match=r"1 of \d+ tensors differ, the first is 'generators.log_weights'.*none"
    ):
        load_run(None, path)


@pytest.mark.parametrize("name", ["abacus", "cuda:99"])
def test_devices_that_are_not_there_are_refused(name):
    with pytest.raises(InvalidInputError, match=f"There is no device '{name}'"):
        pick_device(name)
