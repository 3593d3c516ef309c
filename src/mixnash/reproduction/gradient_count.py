"""Counting what training costs apart from the clock: samples passed through networks for a gradient."""

import math
from collections.abc import Callable
from functools import singledispatch
from typing import final

import torch
from torch import Tensor, nn

from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import Evaluate
from mixnash.core.games.base import AbstractGame
from mixnash.core.types import Apply, Batch, Feedback, NetworkFunctions, Networks, Params, Player, Players, Profile
from mixnash.data.base import AbstractDataModule
from mixnash.lit.base import AbstractGAN
from mixnash.lit.mgan import MGAN
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.lit.wgan import WGAN

Count = Callable[[], int]
"""The gradient evaluations of a training so far."""


@final
class GradientCount:
    """Another way of evaluating games, with a count of its gradient evaluations.

    A gradient evaluation is one sample passed once through one network in an evaluation that asks for gradients and
    in which that network is differentiated, in its parameters or in the sample. With K generators, L critics, b
    latents per generator and B real samples: an evaluation for critics counts L (B + K b), and L K b more for a
    gradient penalty, which differentiates every interpolate once more; one for generators K b + L (B + K b); one for
    both players the sum of both with the shared L (B + K b) counted once; one for nobody, nothing.
    A pack of samples passes a packed critic as one.

    Args:
        evaluate: answers.
    """

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate
        self.total = 0

    def __call__(
        self, game: AbstractGame, networks: Networks, profile: Profile, batch: Batch, players: Players
    ) -> Feedback:
        """The other's answer."""
        generator, critic = networks
        if Player.GENERATOR in players:
            generator = self._counted(generator)
        if players:
            critic = self._counted(critic)
        return self._evaluate(game, Networks(generator, critic), profile, batch, players)

    def _counted(self, functions: NetworkFunctions) -> NetworkFunctions:
        slope = functions.input_gradient
        return functions._replace(
            stacked=self._wrapped(functions.stacked), input_gradient=None if slope is None else self._wrapped(slope)
        )

    def _wrapped(self, apply: Apply) -> Apply:
        def counting(params: Params, inputs: Tensor) -> Tensor:
            self.total += inputs.shape[0] * inputs.shape[1]
            return apply(params, inputs)

        return counting


@final
class _Passes:
    """A forward hook that counts the samples which pass through a module while gradients are recorded."""

    def __init__(self) -> None:
        self.total = 0

    def watch(self, network: nn.Module, sample_size: int) -> None:
        """Count what passes through a network, each input of so many numbers."""

        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
            del module, output
            if torch.is_grad_enabled():
                self.total += inputs[0].numel() // sample_size

        network.register_forward_hook(hook)


@singledispatch
def count_gradients(module: AbstractGAN, data: AbstractDataModule) -> Count:
    """Count the gradient evaluations of a training that is about to begin, as `GradientCount` defines them.

    For the textbook GANs on torch modules: samples that pass through a network while gradients are recorded. Their
    generators' updates pass over the real samples, which `MixedGAN` evaluates for the payoff.

    Raises:
        InvalidInputError: for a kind of module whose networks are not known here.
    """
    del data
    raise InvalidInputError(
        f"The gradient evaluations of a {type(module).__name__} cannot be counted: train a MixedGAN."
    )


@count_gradients.register
def _(module: MixedGAN, data: AbstractDataModule) -> Count:
    del data
    counter = GradientCount(module.evaluate)
    module.evaluate = counter
    return lambda: counter.total


@count_gradients.register
def _(module: WGAN, data: AbstractDataModule) -> Count:
    return _count_passes(module, data, module.generator, module.critic)


@count_gradients.register
def _(module: MGAN, data: AbstractDataModule) -> Count:
    return _count_passes(module, data, module.generators, module.critic)


def _count_passes(module: AbstractGAN, data: AbstractDataModule, generator: nn.Module, critic: nn.Module) -> Count:
    passes = _Passes()
    passes.watch(generator, module.latent_dim)
    passes.watch(critic, math.prod(data.event_shape))
    return lambda: passes.total
