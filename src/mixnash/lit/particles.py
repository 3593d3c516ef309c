"""Populations as modules, so that Lightning moves, counts and saves them."""

from typing import final

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from mixnash.core.errors import require
from mixnash.core.shares import Share
from mixnash.core.tree import over_leaf
from mixnash.core.types import Params, Population


def _encode(name: str) -> str:
    return name.replace(".", "/")  # names of registered tensors cannot hold dots


def _decode(name: str) -> str:
    return name.replace("/", ".")


@final
class ParticleStore(nn.Module):
    """A population whose leaves are parameters and whose log-weights are a buffer.

    Args:
        population: the initial mixed strategy.
    """

    log_weights: Tensor

    def __init__(self, population: Population) -> None:
        super().__init__()
        for name, leaf in population.params.items():
            self.register_parameter(_encode(name), nn.Parameter(leaf))
        self.register_buffer("log_weights", population.log_weights)

    def population(self) -> Population:
        """The current population, sharing memory, detached."""
        params = {_decode(name): leaf.detach() for name, leaf in self.named_parameters()}
        return Population(params, self.log_weights)

    def positions(self) -> list[str]:
        """The names under which the positions are saved."""
        return [name for name, _ in self.named_parameters()]

    def keep(self, share: Share) -> None:
        """Forget the positions of all other particles; log-weights stay those of all."""
        for leaf in self.parameters():
            leaf.data = leaf.data[share.cut].clone()

    @torch.no_grad()
    def assign(self, population: Population) -> None:
        """Take over a new population without copying."""
        for name, leaf in self.named_parameters():
            leaf.data = population.params[_decode(name)]
        self.log_weights = population.log_weights


@final
class AveragedParams(nn.Module):
    r"""Exponential moving average of stacked positions,
    :math:`\bar\theta \leftarrow d_t \bar\theta + (1 - d_t) \theta` with the warm-up
    :math:`d_t = \min(d, (1 + t) / (10 + t))`, t = 1, 2, ... steps made.

    Each particle is averaged with its own past only: means of different particles mean nothing. So where a particle
    takes another one's place, :math:`\bar\theta = \theta`, and its average starts there.

    References:
        Yazici et al., 2019, The unusual effectiveness of averaging in GAN training, arXiv 1806.04498; the warm-up is
        TensorFlow's (`ExponentialMovingAverage`, argument `num_updates`).

    Args:
        params: where the average starts.
        decay: d in [0, 1); 0 keeps the last iterate.

    Raises:
        InvalidInputError: when the decay is outside [0, 1).
    """

    def __init__(self, params: Params, decay: float) -> None:
        super().__init__()
        require(0 <= decay < 1, f"The decay of the moving average must lie in [0, 1), found {decay}.")
        self._decay = decay
        for name, leaf in params.items():
            self.register_buffer(_encode(name), leaf.detach().clone())

    def params(self) -> Params:
        """The averaged positions."""
        return {_decode(name): leaf for name, leaf in self.named_buffers()}

    def positions(self) -> list[str]:
        """The names under which the averages are saved."""
        return [name for name, _ in self.named_buffers()]

    def keep(self, share: Share) -> None:
        """Forget the averages of all other particles."""
        for leaf in self.buffers():
            leaf.data = leaf.data[share.cut].clone()

    @torch.no_grad()
    def update(self, params: Params, steps: int, newcomers: Bool[Tensor, " K"] | None = None) -> None:
        """Average in the positions after `steps` steps.

        Args:
            params: leaves [K, ...].
            steps: made so far, from 1.
            newcomers: who took the place of another particle in this step; nobody if None.
        """
        decay = min(self._decay, (1 + steps) / (10 + steps))
        for name, leaf in self.named_buffers():
            position = params[_decode(name)]
            leaf.lerp_(position, 1 - decay)
            if newcomers is not None:
                leaf.copy_(torch.where(over_leaf(newcomers, leaf), position, leaf))
