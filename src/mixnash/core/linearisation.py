"""Products with the derivative of a game's field, by differentiating gradients once more."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from mixnash.core.types import AbstractLinearisation, Point


def _flat(point: Point) -> list[Tensor]:
    return [*point.generators.values(), *point.critics.values()]


@final
class Linearisation(AbstractLinearisation):
    """J = V'(z) from a field that was computed as a differentiable function of its leaves.

    Args:
        field: V(z), in the order of the generators' leaves, then the critics'.
        leaves: z.
    """

    def __init__(self, field: Sequence[Tensor], leaves: Point) -> None:
        self._field, self._leaves = list(field), leaves
        self._transposed: tuple[list[Tensor], Sequence[Tensor]] | None = None

    @classmethod
    def of_losses(cls, generator_loss: Tensor, critic_loss: Tensor, leaves: Point) -> "Linearisation":
        """From the scalars whose gradients in the two players' leaves are the field."""
        field = [
            grad
            for loss, own in ((generator_loss, leaves.generators), (critic_loss, leaves.critics))
            for grad in torch.autograd.grad(loss, list(own.values()), create_graph=True, materialize_grads=True)
        ]
        return cls(field, leaves)

    def pullback(self, cotangent: Point) -> Point:
        """J^T c: one backward pass through the field."""
        return self._shaped(self._backward(_flat(cotangent), differentiable=False))

    def pushforward(self, tangent: Point) -> Point:
        """J v, as the derivative in u of <J^T u, v>: two backward passes through the field, one from the second on."""
        if self._transposed is None:
            dummies = [torch.zeros_like(one).requires_grad_() for one in self._field]
            self._transposed = dummies, self._backward(dummies, differentiable=True)
        dummies, pulled = self._transposed
        linked = [(one, v) for one, v in zip(pulled, _flat(tangent), strict=True) if one.requires_grad]
        if not linked:  # a constant field
            return self._shaped([torch.zeros_like(one) for one in dummies])
        outputs, directions = zip(*linked, strict=True)
        return self._shaped(
            torch.autograd.grad(outputs, dummies, directions, retain_graph=True, materialize_grads=True)
        )

    def _backward(self, cotangent: Sequence[Tensor], differentiable: bool) -> Sequence[Tensor]:
        leaves = _flat(self._leaves)
        linked = [(one, c) for one, c in zip(self._field, cotangent, strict=True) if one.requires_grad]
        if not linked:
            return [torch.zeros_like(leaf) for leaf in leaves]
        outputs, cotangents = zip(*linked, strict=True)
        return torch.autograd.grad(
            outputs, leaves, cotangents, retain_graph=True, create_graph=differentiable, materialize_grads=True
        )

    def _shaped(self, flat: Sequence[Tensor]) -> Point:
        parts = iter(flat)
        return Point(*({name: next(parts).detach() for name in own} for own in self._leaves))
