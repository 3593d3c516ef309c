"""The small convolutional classifiers whose last hidden layer serves as features, and what is asked of them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, final

from jaxtyping import Float
from torch import Tensor, nn


class Architecture(NamedTuple):
    """Sizes of a `SmallClassifier`."""

    event_shape: tuple[int, int, int]
    """Channels, height, width."""
    classes: int
    widths: tuple[int, ...]
    """Channels after each convolution."""
    hidden: int
    """The number of features."""


class ClassifierKind(NamedTuple):
    """One of the classifiers of the project."""

    data: str
    """What `mixnash train-classifier --data` calls the images."""
    architecture: Architecture
    accuracy: float
    """Least share of the held-out images that must be named right before metrics may rely on it."""


_DIGIT = Architecture((1, 28, 28), 10, (32, 64), 128)

CLASSIFIERS: Mapping[str, ClassifierKind] = MappingProxyType(
    {
        # A digit named wrongly puts its sample into another of the 1,000 modes: 0.98 a digit leaves 1 - 0.98^3 = 6 %
        # of them there.
        "mnist_cnn": ClassifierKind("mnist", _DIGIT, 0.98),
        # Some classes look alike, such as shirts and pullovers, so less can be asked.
        "fashion_cnn": ClassifierKind("fashion_mnist", _DIGIT, 0.88),
        # 9 of the 180 held-out images may be named wrongly.
        "digits_cnn": ClassifierKind("digits", Architecture((1, 8, 8), 10, (32, 64), 128), 0.95),
        # Features for a distance, not a judge of classes: well above the 0.1 of guessing is enough.
        "cifar10_cnn": ClassifierKind("cifar10", Architecture((3, 32, 32), 10, (32, 64, 128), 256), 0.65),
    }
)
"""The classifiers by name."""


@final
class SmallClassifier(nn.Module):
    r"""Convolutions 3x3, each halving the image by its maxima, and one hidden layer.

    .. math:: h_i = \mathrm{relu}(\max{}_{2 \times 2}(\mathrm{conv}_{3 \times 3}(h_{i-1}))), \qquad
        f = \mathrm{relu}(A\, h_n + a), \qquad \mathrm{logits} = B f + b.

    For digits with 32 and 64 channels and 128 hidden units, near in size to the network with which scores on Stacked
    MNIST are taken, which pools once, after both convolutions.

    Args:
        architecture: the sizes; height and width are at least 2 to the number of convolutions.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        channels, height, width = architecture.event_shape
        layers: list[nn.Module] = []
        for wide in architecture.widths:
            layers += [nn.Conv2d(channels, wide, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()]
            channels, height, width = wide, height // 2, width // 2
        self.trunk = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(channels * height * width, architecture.hidden), nn.ReLU()
        )
        self.head = nn.Linear(architecture.hidden, architecture.classes)

    def features(self, images: Float[Tensor, "n C H W"]) -> Float[Tensor, "n d"]:
        """The last hidden layer."""
        hidden: Tensor = self.trunk(images)
        return hidden

    def forward(self, images: Float[Tensor, "n C H W"]) -> Float[Tensor, "n classes"]:
        """The logits."""
        logits: Tensor = self.head(self.features(images))
        return logits
