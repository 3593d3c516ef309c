"""Networks in half precision, everything else as it was."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, final

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import Tensor

from mixnash.core.feedback import Evaluate
from mixnash.core.games.base import AbstractGame
from mixnash.core.types import Apply, Batch, Feedback, NetworkFunctions, Networks, Params, Players, Profile
from mixnash.lit.loss_scaling import LossScale
from mixnash.lit.parallel.mesh import Mesh
from mixnash.lit.parallel.traffic import Traffic


class _Scaled(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a number."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        return slopes[0] * ctx.factor, None


def scaled_inside(function: Apply, factor: float) -> Apply:
    """A network in which gradients are `factor` times as large as outside of it."""

    def scaled(params: Params, inputs: Tensor) -> Tensor:
        inner = {name: _rescaled(leaf, 1 / factor) for name, leaf in params.items()}
        return _rescaled(function(inner, _rescaled(inputs, 1 / factor)), factor)

    return scaled


def _rescaled(values: Tensor, factor: float) -> Tensor:
    scaled: Tensor = _Scaled.apply(values, factor)  # type: ignore[no-untyped-call]
    return scaled


def in_precision(function: Apply, dtype: torch.dtype) -> Apply:
    """A network whose products and convolutions are computed in `dtype`; outputs are in the parameters' precision.

    Casts are not kept for a second use: those made without gradients would then be used where gradients are needed.
    """

    def cast(params: Params, inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, dtype=dtype, cache_enabled=False):
            outputs = function(params, inputs)
        return outputs.to(next(iter(params.values())).dtype)

    return cast


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """All operations in the precision of their arguments, whatever the trainer has switched on around."""
    return torch.autocast(device.type, enabled=False)


@final
class NetworkPrecision:
    """How the networks compute in training: as `--trainer.precision` says.

    With "bf16-mixed" and "16-mixed" networks, and they alone, compute in half precision. Parameters, moments, averages,
    losses, penalties, spectral norms and log-weights are float32, which Lightning's autocast around the whole step
    would not leave them: products with weights of mixtures would lose all but three digits.

    Args:
        dtype: of products and convolutions in networks; None for that of the parameters.
    """

    def __init__(self, dtype: torch.dtype | None = None) -> None:
        self.dtype = dtype
        self.scale = LossScale() if dtype is torch.float16 else None

    def around(self, networks: Networks) -> Networks:
        """The networks in this precision, with the scale of this moment."""
        dtype = self.dtype
        if dtype is None:
            return networks
        factor = None if self.scale is None else self.scale.state.scale

        def wrapped(function: Apply) -> Apply:
            inner = in_precision(function, dtype)
            return inner if factor is None else scaled_inside(inner, factor)

        def both(functions: NetworkFunctions) -> NetworkFunctions:
            gradient = functions.input_gradient
            return functions._replace(
                stacked=wrapped(functions.stacked), input_gradient=None if gradient is None else wrapped(gradient)
            )

        return Networks(both(networks.generator), both(networks.critic))

    def watched(self, evaluate: Evaluate) -> Evaluate:
        """An evaluation whose gradients the loss scale sees."""
        scale = self.scale
        if scale is None:
            return evaluate

        def watched(
            game: AbstractGame, networks: Networks, profile: Profile, batch: Batch, players: Players
        ) -> Feedback:
            return scale.watched(evaluate(game, networks, profile, batch, players))

        return watched

    def accepts(self, mesh: Mesh, traffic: Traffic) -> bool:
        """Whether the step just made counts; always, but for float16."""
        return self.scale is None or self.scale.accepts(mesh, traffic)

    def alone(self, device: torch.device) -> AbstractContextManager[Any]:
        """Around a step: no other autocast than the networks' own."""
        return nullcontext() if self.dtype is None else without_autocast(device)

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints; empty without a scale."""
        return {} if self.scale is None else self.scale.state_dict()

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint; from the start if it was written in another precision."""
        if self.scale is not None and saved:
            self.scale.load_state_dict(saved)


def precision_of(trainer: pl.Trainer) -> NetworkPrecision:
    """As the trainer was told. Its own scaler, which gradients of functions never reach, is switched off."""
    plugin = trainer.precision_plugin
    if not isinstance(plugin, MixedPrecision):
        return NetworkPrecision()
    plugin.scaler = None
    return NetworkPrecision(torch.bfloat16 if plugin.precision == "bf16-mixed" else torch.float16)
