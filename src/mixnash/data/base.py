"""Data modules whose training batches are pure functions of (seed, step).

So a resumed run sees the batches it would have seen, and the shares of several processes make up the one batch that a
single process would get. The model says how many independent draws one of its steps consumes.
"""

import abc

import pytorch_lightning as pl
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader

from mixnash.core.errors import require
from mixnash.core.mixtures import GaussianMixture, sample_stratified
from mixnash.core.random import Purpose
from mixnash.data.sources import Law, data_stream, law_source
from mixnash.data.step_loader import StepLoader, chunk_loader

CHUNK = 10_000
"""Most held-out samples in one validation batch."""


class AbstractDataModule(pl.LightningDataModule, abc.ABC):
    """Training batches by step, and held-out samples.

    Args:
        batch_size: real samples per draw over all processes together, at least 1.
        validation_size: held-out samples over all processes together, at least 1.
        seed: any integer; decides every draw.
        num_workers: processes that make training batches ahead of time, at least 0; 0 makes them in the main process.
            The batches are the same for any number.

    Raises:
        InvalidInputError: when a size is below 1 or the number of workers below 0.
    """

    draws_per_step: int
    """Independent draws that one training step consumes; 1 until the model sets it before training."""

    def __init__(self, batch_size: int, validation_size: int, seed: int, num_workers: int = 0) -> None:
        super().__init__()
        require(batch_size >= 1, f"The batch size must be at least 1, found {batch_size}.")
        require(validation_size >= 1, f"The validation size must be at least 1, found {validation_size}.")
        require(num_workers >= 0, f"The number of loader workers must be at least 0, found {num_workers}.")
        self.batch_size, self.validation_size, self.seed = batch_size, validation_size, seed
        self.batch_place: tuple[int, int] | None = None
        """The index of this process among those that share out a batch, and how many do; all processes if None."""
        self.whole_batches = False
        """Whether every process is given the whole batch, to cut its own part where parts are uneven."""
        self.num_workers = num_workers
        self.draws_per_step = 1

    @property
    @abc.abstractmethod
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""

    @abc.abstractmethod
    def training_draws(self, step: int, count: int) -> Float[Tensor, "count *event"]:
        """The `count` samples of a step, in float32: a function of (seed, step) for a `count` that never changes."""

    @abc.abstractmethod
    def held_out(self, count: int) -> Float[Tensor, "count *event"]:
        """Samples that training does not see, in float32: a function of the seed."""

    def training_batch(self, step: int) -> Float[Tensor, "draws share *event"]:
        """This process's part of the batch of a step.

        All processes draw the same [draws, batch_size, *event] and keep a contiguous part of axis 1 each, or all of it
        if `whole_batches`.
        """
        rank, processes = self._batch_place()
        share = self.batch_size // processes
        draws = self.training_draws(step, self.draws_per_step * self.batch_size)
        batch = draws.reshape(self.draws_per_step, self.batch_size, *self.event_shape)
        if self.whole_batches:
            return batch
        return batch[:, rank * share : (rank + 1) * share]

    def train_dataloader(self) -> StepLoader:
        """Endless batches [draws, share or batch_size, *event], from the trainer's current step on.

        Raises:
            InvalidInputError: when one step would take several batches, or the processes cannot share a batch equally
                and the model does not cut whole ones.
        """
        _, processes = self._batch_place()
        require(
            self.whole_batches or self.batch_size % processes == 0,
            f"{processes} processes cannot share a batch of {self.batch_size} samples equally: choose a multiple of "
            f"{processes} as batch_size.",
        )
        batches = 1 if self.trainer is None else self.trainer.accumulate_grad_batches
        require(
            batches == 1,
            f"Batches are numbered by steps, but accumulate_grad_batches={batches} takes several for one: leave it at "
            "1 and choose a larger batch_size.",
        )
        return StepLoader(self.training_batch, self._steps_done, self.num_workers)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """This process's part of `held_out(validation_size)`, in as many chunks [n, *event] as every other's.

        Raises:
            InvalidInputError: when there are more processes than held-out samples.
        """
        _, processes = self._place()
        require(
            self.validation_size >= processes,
            f"{processes} processes need at least as many held-out samples, found validation_size="
            f"{self.validation_size}.",
        )
        return chunk_loader(self.validation_chunks(self.held_out(self.validation_size)))

    def validation_chunks(self, rows: Tensor) -> tuple[Tensor, ...]:
        """What belongs to each batch of `val_dataloader`, of rows for all of `held_out(validation_size)`."""
        rank, processes = self._place()
        part = rows.tensor_split(processes)[rank]
        return part.tensor_split(-(-self.validation_size // (processes * CHUNK)))

    def _batch_place(self) -> tuple[int, int]:
        """The index of this process among those that share out a batch, and how many do."""
        return self._place() if self.batch_place is None else self.batch_place

    def _place(self) -> tuple[int, int]:
        """The index of this process and the number of processes."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _steps_done(self) -> int:
        return 0 if self.trainer is None else self.trainer.global_step


class AbstractPointData(AbstractDataModule):
    """Points of a vector space, drawn from a law that can be sampled at will.

    Args:
        law: what training points are drawn from.
        fixed_size: None for fresh points at every step; otherwise the size of a set drawn once, shuffled every epoch.
        batch_size: see `AbstractDataModule`.
        validation_size: see `AbstractDataModule`.
        seed: see `AbstractDataModule`.

    Raises:
        InvalidInputError: when a size is below 1.
    """

    def __init__(self, law: Law, fixed_size: int | None, batch_size: int, validation_size: int, seed: int) -> None:
        super().__init__(batch_size, validation_size, seed)
        self._source = law_source(law, fixed_size, seed)

    @property
    @abc.abstractmethod
    def event_shape(self) -> tuple[int]:
        """The number of coordinates."""

    @property
    @abc.abstractmethod
    def span(self) -> float:
        """How far the data reach along their first axis, tails included."""

    def training_draws(self, step: int, count: int) -> Float[Tensor, "count D"]:
        """The points of a step."""
        return self._source.draws(step, count)


class AbstractPlanarData(AbstractPointData):
    """Points in the plane; see `AbstractPointData`."""

    @property
    def event_shape(self) -> tuple[int]:
        """Two coordinates."""
        return (2,)

    @property
    @abc.abstractmethod
    def limits(self) -> tuple[float, float, float, float]:
        """A box for plots: xmin, xmax, ymin, ymax."""

    @property
    def span(self) -> float:
        """The width of the box."""
        return self.limits[1] - self.limits[0]


class AbstractMixtureData(AbstractPointData):
    """Points from a known Gaussian mixture, whose modes can be counted; see `AbstractPointData`."""

    @property
    @abc.abstractmethod
    def mixture(self) -> GaussianMixture:
        """The law of the data, in data coordinates."""

    @property
    def event_shape(self) -> tuple[int]:
        """As many coordinates as the centres have."""
        return (self.mixture.centres.shape[1],)

    @property
    def span(self) -> float:
        """The width of the mixture's box."""
        low, high = box(self.mixture)
        return float(high[0] - low[0])

    def held_out(self, count: int) -> Float[Tensor, "count D"]:
        """Points from the mixture itself with every mode at its expected count, so that distances to them carry no
        noise in the masses of the modes. They come mode by mode and are not independent of each other.
        """
        return sample_stratified(self.mixture, count, data_stream(self.seed, Purpose.HELD_OUT))


class AbstractPlanarMixture(AbstractMixtureData, AbstractPlanarData):
    """Points from a known Gaussian mixture in the plane; see `AbstractPointData`."""

    @property
    def limits(self) -> tuple[float, float, float, float]:
        """The mixture's box."""
        return planar_limits(self.mixture)


def box(mixture: GaussianMixture) -> tuple[Float[Tensor, " D"], Float[Tensor, " D"]]:
    """Opposite corners of the box of the centres, widened by five of the largest scales and a tenth of the longest
    side.
    """
    low, high = mixture.centres.amin(dim=0), mixture.centres.amax(dim=0)
    margin = 5 * mixture.scales.max() + (high - low).max() / 10
    return low - margin, high + margin


def planar_limits(mixture: GaussianMixture) -> tuple[float, float, float, float]:
    """The box of a mixture in the plane: xmin, xmax, ymin, ymax."""
    (xmin, ymin), (xmax, ymax) = (corner.tolist() for corner in box(mixture))
    return xmin, xmax, ymin, ymax


class AbstractImageData(AbstractDataModule):
    """Images with values in [-1, 1]."""

    @property
    @abc.abstractmethod
    def event_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
