"""Three tiny runs, trained once by the real command: a mixture with unequal weights, a plain WGAN, and images."""

import warnings

import pytest
import yaml

from mixnash.cli import train

CHECKPOINTS = {
    "class_path": "pytorch_lightning.callbacks.ModelCheckpoint",
    "init_args": {
        "monitor": "val/sliced_wasserstein2",
        "save_last": True,
        "save_top_k": 1,
        "filename": "best-{step}",
    },
}
ADAM = {"class_path": "mixnash.core.rules.adam.Adam", "init_args": {"step_size": 3.0e-3}}
ENTROPIC = {"class_path": "mixnash.core.rules.entropic.EntropicMirrorDescent", "init_args": {"step_size": 0.3}}
FROZEN = {"class_path": "mixnash.core.rules.frozen.Frozen"}
# Near where the networks start, so that some samples are of high quality and some are not.
MIXTURE = {"centres": [[0.2, 0.0], [0.7, 0.0], [-0.3, 0.3]], "scales": [0.06, 0.05, 0.08], "weights": [5.0, 3.0, 2.0]}


def network(kind, **sizes):
    return {"class_path": f"mixnash.networks.mlp.MLP{kind}", "init_args": sizes}


def mixed_gan(latent_dim):
    rules = {"position": ADAM, "weights": ENTROPIC}
    return {
        "class_path": "mixnash.lit.mixed_gan.MixedGAN",
        "init_args": {
            "num_generators": 3,
            "num_critics": 2,
            "ema_decay": 0.8,
            "generator": network("Generator", latent_dim=latent_dim, width=8, depth=1),
            "critic": network("Critic", width=8, depth=1),
            "game": {"class_path": "mixnash.core.games.hinge.Hinge"},
            "dynamics": {
                "class_path": "mixnash.core.dynamics.simultaneous.Simultaneous",
                "init_args": {"generators": rules, "critics": {"position": ADAM, "weights": FROZEN}},
            },
        },
    }


WGAN = {
    "class_path": "mixnash.lit.wgan.WGAN",
    "init_args": {
        "generator": network("Generator", latent_dim=3, width=8, depth=1),
        "critic": network("Critic", width=8, depth=1),
        "generator_optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 1.0e-3}},
        "critic_optimizer": {"class_path": "torch.optim.RMSprop", "init_args": {"lr": 1.0e-3}},
        "critic_steps": 2,
        "clip": 0.1,
    },
}


def run_once(folder, experiment, model, data, data_args, seed):
    """Train for ten steps with two evaluations; the folder of the run."""
    config = {
        "experiment": experiment,
        "seed_everything": seed,
        "trainer": {
            "accelerator": "cpu",
            "max_steps": 10,
            "val_check_interval": 5,
            "log_every_n_steps": 5,
            "enable_progress_bar": False,
            "callbacks": [CHECKPOINTS],
        },
        "model": model,
        "data": {"class_path": data, "init_args": {"batch_size": 30, "validation_size": 200, **data_args}},
    }
    path = folder / f"{experiment}.yaml"
    path.write_text(yaml.safe_dump(config))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what third parties warn of while training is not looked at here
        train(["fit", "--config", str(path), "--runs_dir", str(folder)])
    return folder / experiment / "version_0"


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory):
    """A folder of the tests' own for files that users keep; without classifiers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIXNASH_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def mixture_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixture")
    return run_once(folder, "three-modes", mixed_gan(2), "mixnash.data.mixtures.CustomMixture", MIXTURE, seed=7)


@pytest.fixture(scope="session")
def wgan_run(tmp_path_factory):
    return run_once(tmp_path_factory.mktemp("wgan"), "spiral", WGAN, "mixnash.data.shapes.SwissRoll", {}, seed=4)


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    return run_once(tmp_path_factory.mktemp("digits"), "digits", mixed_gan(5), "mixnash.data.digits.Digits", {}, seed=2)


@pytest.fixture(scope="session")
def packed_run(tmp_path_factory):
    model = mixed_gan(2)
    model["init_args"] |= {"packing": 2, "sampled_generators": 2}
    folder = tmp_path_factory.mktemp("packed")
    return run_once(folder, "pairs", model, "mixnash.data.mixtures.CustomMixture", MIXTURE, seed=3)
