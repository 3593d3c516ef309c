"""Steps that are not log steps never wait for the device."""

from contextlib import ExitStack
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mixnash.core.augmentations.colour import Colour
from mixnash.core.augmentations.composed import Composed
from mixnash.core.augmentations.translation import Translation
from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.optimistic import Optimistic
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.games.constraints import GradientPenalty, SpectralNormalization
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.optimistic_adam import OptimisticAdam
from mixnash.core.rules.per_particle import PerParticle
from mixnash.core.rules.preconditioned_langevin import PreconditionedLangevin
from mixnash.core.rules.rmsprop import RMSProp
from mixnash.core.rules.stochastic_gradient_hmc import StochasticGradientHMC
from mixnash.data.digits import Digits
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.networks.dcgan import DCGANCritic, DCGANGenerator
from training import make_trainer, mixed_gan, ring, rules

WAITING = (
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.equal.default,
    torch.ops.aten.is_nonzero.default,
    torch.ops.aten.masked_select.default,
    torch.ops.aten.unique_consecutive.default,
    torch.ops.aten._unique2.default,
)
"""What a GPU has to be waited for."""

DYNAMICS = {
    "alternating": lambda: Alternating(
        rules(Adam(2e-3, 0.5), EntropicMirrorDescent(0.1)), rules(Adam(1e-3), EntropicMirrorDescent(0.1)), 2
    ),
    "extragradient": lambda: Extragradient(rules(RMSProp(1e-3), EntropicMirrorDescent(0.1)), rules(Adam(1e-3))),
    "optimistic": lambda: Optimistic(rules(OptimisticAdam(1e-3)), rules(OptimisticAdam(1e-3, 0.5))),
    "langevin": lambda: Simultaneous(rules(Langevin(1e-3, 1e-3)), rules(PreconditionedLangevin(1e-3, 1e-4))),
    "tempered": lambda: Simultaneous(
        rules(PerParticle(StochasticGradientHMC(1e-2, 0.1, 1e-3), 0.5, 2.0)), rules(PerParticle(Adam(1e-3), 0.5, 2.0))
    ),
}


class Waits(TorchDispatchMode):
    """Records what would have to be waited for."""

    def __init__(self):
        super().__init__()
        self.found, self.operations = [], 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.operations += 1
        if function in WAITING:
            self.found.append(str(function))
        return function(*args, **(kwargs or {}))


class WatchedSteps(pl.Callback):
    """Watches training steps, the optimiser's wrapper included."""

    def __init__(self):
        self.waits, self._open = Waits(), ExitStack()

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self._open.enter_context(self.waits)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self._open.close()


def watched(module, folder, data, log_every=50):
    watch = WatchedSteps()
    make_trainer(folder, 3, [watch], log_every=log_every).fit(module, datamodule=data)
    return watch.waits


@pytest.mark.parametrize("name", DYNAMICS)
def test_steps_do_not_wait_for_the_device(name, tmp_path):
    waits = watched(mixed_gan(DYNAMICS[name]()), tmp_path, ring())
    assert waits.operations > 100
    assert waits.found == []


def test_steps_with_spectral_norms_do_not_wait(tmp_path):
    module = mixed_gan(DYNAMICS["alternating"](), game=Hinge(SpectralNormalization(3)))
    assert watched(module, tmp_path, ring()).found == []


def test_steps_of_convolutional_networks_do_not_wait(tmp_path):
    module = MixedGAN(
        (1, 8, 8),
        partial(DCGANGenerator, latent_dim=4, width=4),
        partial(DCGANCritic, width=4),
        Wasserstein(GradientPenalty(1.0)),
        DYNAMICS["alternating"](),
        num_generators=2,
        num_critics=2,
        augmentation=Composed([Translation(), Colour()]),
    )
    assert watched(module, tmp_path, Digits(batch_size=8)).found == []


def test_a_log_step_is_noticed_to_wait(tmp_path):
    assert (
        "aten._local_scalar_dense.default" in watched(mixed_gan(DYNAMICS["alternating"]()), tmp_path, ring(), 1).found
    )
