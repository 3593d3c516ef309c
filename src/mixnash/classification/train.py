r"""Training of a classifier: cross-entropy on augmented images, and its accuracy on those held out.

.. math:: \min_\theta\; -\frac{1}{n} \sum_{i=1}^n \log \mathrm{softmax}(h_\theta(T_i x_i))_{y_i},

with T_i random shifts and, for photographs, mirrorings. AdamW; the step size rises for a tenth of the training and
falls to 0 along a cosine.
"""

import math
from typing import NamedTuple, final

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.utils.data import DataLoader

from mixnash.classification.dataset import ShuffledBatches
from mixnash.core.errors import NonFiniteError, require
from mixnash.data.labelled_images import LabelledImages
from mixnash.lit.quiet import quiet_trainer
from mixnash.metrics.features.classifier_network import Architecture, SmallClassifier

_TESTED = 500
"""Held-out images in memory at once."""


class Settings(NamedTuple):
    """How a classifier learns."""

    epochs: int
    seed: int
    shift: int
    """Largest shift of an image, in pixels."""
    mirror: bool
    """Whether half of the images are mirrored."""
    batch_size: int = 64
    step_size: float = 2e-3
    """Of AdamW at its highest."""
    weight_decay: float = 0.01


def check_settings(settings: Settings) -> None:
    """Refuse impossible settings.

    Raises:
        InvalidInputError: when there is no epoch.
    """
    require(settings.epochs >= 1, f"--epochs must be at least 1, found {settings.epochs}.")


@final
class ClassifierTraining(pl.LightningModule):
    """A classifier under training.

    Args:
        network: trained in place.
        settings: how.
    """

    def __init__(self, network: SmallClassifier, settings: Settings) -> None:
        super().__init__()
        self.network, self._settings = network, settings

    def training_step(self, batch: LabelledImages, batch_idx: int) -> Tensor:
        """The cross-entropy of a batch."""
        del batch_idx
        loss = F.cross_entropy(self.network(batch.images), batch.labels)
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW with one cycle of the step size, which moves at every step."""
        optimizer = torch.optim.AdamW(
            self.parameters(), self._settings.step_size, weight_decay=self._settings.weight_decay
        )
        steps = int(self.trainer.estimated_stepping_batches)
        rise = max(1, steps // 10)

        def scale(step: int) -> float:
            if step < rise:
                return (step + 1) / rise
            return (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))) / 2

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, scale)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train(
    architecture: Architecture, images: LabelledImages, settings: Settings, device: torch.device
) -> SmallClassifier:
    """A trained classifier on the CPU, in evaluation mode; a function of its arguments on one machine.

    The global random state stays as it was.

    Raises:
        NonFiniteError: when the training diverged.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)
        network = SmallClassifier(architecture)
    batches = ShuffledBatches(images, settings.batch_size, settings.seed, settings.shift, settings.mirror)
    with quiet_trainer():
        trainer = pl.Trainer(
            accelerator=device.type,
            devices=1 if device.index is None else [device.index],
            max_epochs=settings.epochs,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        # With a generator of its own, starting a pass draws nothing from the global one.
        trainer.fit(
            ClassifierTraining(network, settings), DataLoader(batches, batch_size=None, generator=torch.Generator())
        )
    network = network.cpu().eval()
    if not all(bool(leaf.isfinite().all()) for leaf in network.parameters()):
        raise NonFiniteError("The training of the classifier diverged: its weights are not finite. Check the images.")
    return network


@torch.no_grad()
def accuracy(network: SmallClassifier, images: LabelledImages) -> float:
    """The share of images whose most likely class is theirs."""
    chunks = zip(torch.split(images.images, _TESTED), torch.split(images.labels, _TESTED), strict=True)
    right = sum(int((network(pictures).argmax(1) == labels).sum()) for pictures, labels in chunks)
    return right / len(images.labels)
