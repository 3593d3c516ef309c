"""The networks of MGAN: a critic that tells its generators apart, and how all of them are made."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, final

from torch import Tensor, nn

from mixnash.core.errors import require
from mixnash.networks.base import AbstractCritic, AbstractGenerator
from mixnash.networks.layered import BODY, AbstractLayeredCritic
from mixnash.networks.mlp import MLPCritic, MLPGenerator, fourier_features
from mixnash.networks.shared_trunk import MLP_LAYERS, sequence_of_layers

Number = TypeVar("Number", int, float)


class AbstractClassifyingCritic(nn.Module, abc.ABC):
    """A critic with a second linear head on what its last layer sees, which tells who made a sample.

    Args:
        scorer: the critic.
        last: its last layer.
        classes: how many generators there are to tell apart, at least 1.
    """

    @abc.abstractmethod
    def __init__(self, scorer: AbstractCritic, last: nn.Linear, classes: int) -> None:
        super().__init__()
        self.scorer = scorer
        self.classifier = nn.Linear(last.in_features, classes)

    @abc.abstractmethod
    def features(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Samples [n, *event_shape] to what the last layer sees [n, d], and what it makes of it [n, 1]."""

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Samples [n, *event_shape] to scores [n], as the scorer gives, and to logits of their makers [n, K]."""
        hidden, scores = self.features(samples)
        return scores.squeeze(-1), self.classifier(hidden)


@final
class ClassifyingMLPCritic(AbstractClassifyingCritic):
    """An `MLPCritic` of ReLU units with a classifier.

    Args:
        event_shape: shape of one sample.
        classes: how many generators there are to tell apart, at least 1.
        width: units per hidden layer.
        depth: hidden layers.
        octaves: octaves of Fourier features of the flattened input; 0 for none.
        period: longest period of these features, in units of the data.

    Raises:
        InvalidInputError: when a size is below 1 or the period not positive.
    """

    def __init__(
        self, event_shape: Sequence[int], classes: int, width: int, depth: int, octaves: int, period: float
    ) -> None:
        scorer = MLPCritic(event_shape, width, depth, octaves=octaves, period=period)
        last = scorer.layers[-1]
        assert isinstance(last, nn.Linear)
        super().__init__(scorer, last, classes)
        self._octaves, self._period = octaves, period

    def features(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """The last hidden units, and the score."""
        layers = self.scorer.get_submodule(MLP_LAYERS)
        assert isinstance(layers, nn.ModuleList)
        *inner, last = layers
        hidden = fourier_features(samples.flatten(1), self._octaves, self._period)
        for layer in inner:
            hidden = layer(hidden).relu()
        return hidden, last(hidden)


@final
class ClassifyingLayeredCritic(AbstractClassifyingCritic):
    """A critic of layers, the last one linear, with a classifier.

    Args:
        scorer: the critic, such as a `DCGANCritic`, `ResNetCritic` or `R3GANCritic`.
        classes: how many generators there are to tell apart, at least 1.

    Raises:
        InvalidInputError: when the critic cannot be cut before its last layer.
    """

    def __init__(self, scorer: AbstractCritic, classes: int) -> None:
        name = type(scorer).__name__
        require(
            isinstance(scorer, AbstractLayeredCritic),
            f"{name} cannot be cut before its last layer: give MGAN a network of layers, as DCGANCritic, "
            "ResNetCritic and R3GANCritic are, or leave the critic out for an MLP.",
        )
        assert isinstance(scorer, AbstractLayeredCritic)
        layers = list(sequence_of_layers(scorer.body, name))
        last = layers[-1] if layers else None
        require(
            len(layers) >= 2 and isinstance(last, nn.Linear),
            f"{name} cannot be cut before its last layer: MGAN's classifier needs at least 2 layers, the last one "
            f"linear, found {len(layers)}, the last one {type(last).__name__}.",
        )
        assert isinstance(last, nn.Linear)
        super().__init__(scorer, last, classes)

    def features(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """The output of all layers but the last, and the score."""
        body = self.scorer.get_submodule(BODY)
        assert isinstance(body, nn.Sequential)
        *inner, last = body
        hidden = samples
        for layer in inner:
            hidden = layer(hidden)
        return hidden, last(hidden)


@final
class MGANNetworks:
    """Makes the networks of an MGAN, as given or else as MLPs of the sizes given.

    Args:
        event_shape: shape of one sample.
        generator: makes one generator; None for an MLP of the following sizes.
        critic: makes one critic of layers; None for an MLP of the following sizes.
        latent_dim: length of the latent; 2 if None.
        generator_width: units per hidden layer; 128 if None.
        generator_depth: hidden layers; 3 if None.
        critic_width: units per hidden layer; 128 if None.
        critic_depth: hidden layers; 3 if None.
        octaves: octaves of Fourier features of the critic's input; 0, for none, if None.
        period: longest period of these features, in units of the data; 8 if None.

    Raises:
        InvalidInputError: when sizes of an MLP are given beside the network.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        generator: Callable[[Sequence[int]], AbstractGenerator] | None,
        critic: Callable[[Sequence[int]], AbstractCritic] | None,
        latent_dim: int | None,
        generator_width: int | None,
        generator_depth: int | None,
        critic_width: int | None,
        critic_depth: int | None,
        octaves: int | None,
        period: float | None,
    ) -> None:
        sizes = {"latent_dim": latent_dim, "generator_width": generator_width, "generator_depth": generator_depth}
        _check_described("generator", generator is not None, sizes)
        sizes = {"critic_width": critic_width, "critic_depth": critic_depth, "octaves": octaves}
        _check_described("critic", critic is not None, {**sizes, "period": period})
        self._event_shape, self._generator, self._critic = event_shape, generator, critic
        self._generator_sizes = _or(latent_dim, 2), _or(generator_width, 128), _or(generator_depth, 3)
        self._critic_sizes = _or(critic_width, 128), _or(critic_depth, 3)
        self._octaves, self._period = _or(octaves, 0), _or(period, 8.0)

    def generator(self) -> AbstractGenerator:
        """A new generator with a trunk of its own."""
        if self._generator is not None:
            return self._generator(self._event_shape)
        return MLPGenerator(self._event_shape, *self._generator_sizes)

    def critic(self) -> AbstractCritic:
        """A new critic without a classifier."""
        if self._critic is not None:
            return self._critic(self._event_shape)
        return MLPCritic(self._event_shape, *self._critic_sizes, octaves=self._octaves, period=self._period)

    def classifying_critic(self, classes: int) -> AbstractClassifyingCritic:
        """A new critic with a classifier of so many generators."""
        if self._critic is not None:
            return ClassifyingLayeredCritic(self.critic(), classes)
        return ClassifyingMLPCritic(self._event_shape, classes, *self._critic_sizes, self._octaves, self._period)


def _or(value: Number | None, usual: Number) -> Number:
    return usual if value is None else value


def _check_described(player: str, given: bool, mlp: Mapping[str, int | float | None]) -> None:
    found = [f"{name} {value}" for name, value in mlp.items() if value is not None]
    require(
        not given or not found,
        f"The {player} is given as a network, so nothing is left for {', '.join(found)} to describe: leave these out, "
        f"or leave the {player} out for an MLP.",
    )
