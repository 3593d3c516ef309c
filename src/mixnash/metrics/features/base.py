"""What a map from images to features must offer, and how it is applied to many images."""

import abc
import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import NonFiniteError, require


class Extracted(NamedTuple):
    """What an extractor says about n images."""

    features: Float[Tensor, "n d"]
    """In float32."""
    logits: Float[Tensor, "n *classes"] | None
    """In float32, [n, classes], or [n, 3, classes] for three digits stacked; None where there are no classes."""


class AbstractExtractor(abc.ABC):
    """A frozen map from images to features, the same for the same images.

    No `nn.Module`: kept by a metric or a model, it enters neither parameters nor checkpoints, and no surrounding
    module puts it into training mode or casts it. Building and calling one leaves the global random state alone.
    """

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """In lower case with underscores, for tables; what differs in kind differs in name."""

    @property
    def metric(self) -> str:
        """What the Frechet distance of these features is called: "fid" with the standard Inception weights only."""
        return f"fd_{self.name}"

    @property
    def has_logits(self) -> bool:
        """Whether it names classes too."""
        return True

    @property
    @abc.abstractmethod
    def identity(self) -> str:
        """A hash of weights and preprocessing: equal exactly if equal images give equal features."""

    def check(self, event_shape: tuple[int, ...]) -> None:
        """Refuse images of a shape that the extractor cannot take; any will do unless a class says otherwise.

        Raises:
            InvalidInputError: when they do not fit.
        """
        del event_shape

    @abc.abstractmethod
    def __call__(self, images: Float[Tensor, "n C H W"]) -> Extracted:
        """Features and logits of images in [-1, 1], where the extractor is, without gradients.

        Raises:
            InvalidInputError: when the images are of a wrong shape.
            NonFiniteError: when a value is NaN or infinite.
        """

    @abc.abstractmethod
    def to(self, device: torch.device) -> "AbstractExtractor":
        """Move to a device; gives the same extractor."""


def extract(extractor: AbstractExtractor, images: Float[Tensor, "n C H W"], batch: int = 250) -> Extracted:
    """Apply an extractor to any number of images, `batch` at a time.

    Args:
        extractor: any.
        images: in [-1, 1]; what lies beyond is clipped.
        batch: images in memory at once; equal bits need an equal batch, since the sums inside of a convolution may be
            ordered by it.

    Raises:
        InvalidInputError: when there is no image, the batch is below 1, or the images are of a wrong shape.
        NonFiniteError: when a value is NaN or infinite.
    """
    require(batch >= 1, f"Features are extracted from at least 1 image at a time, found batch={batch}.")
    require(len(images) >= 1, "Features need at least one image, found none.")
    parts = [extractor(chunk) for chunk in torch.split(images, batch)]
    logits = [part.logits for part in parts if part.logits is not None]
    return Extracted(torch.cat([part.features for part in parts]), torch.cat(logits) if logits else None)


def weights_hash(tensors: Mapping[str, Tensor], *words: object) -> str:
    """SHA-256 of tensors by name, with their kinds and shapes, and of what else makes up an extractor."""
    digest = hashlib.sha256(repr(words).encode())
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(repr((name, str(value.dtype), tuple(value.shape))).encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def as_pictures(images: Float[Tensor, "n C H W"], device: torch.device) -> Float[Tensor, "n C H W"]:
    """Images in float32 on a device; values beyond [-1, 1] are clipped, as when a picture is written to a file.

    Raises:
        NonFiniteError: when a value is NaN or infinite.
    """
    if not bool(torch.isfinite(images).all()):
        raise NonFiniteError("Features cannot be taken of images with values that are not finite.")
    return images.detach().to(device, torch.float32).clamp(-1, 1)
