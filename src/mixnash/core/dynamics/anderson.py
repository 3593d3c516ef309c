"""Anderson acceleration of fixed-point iterations on vectors, one or a batch of them."""

from collections import deque
from typing import final

import torch
from torch import Tensor


@final
class AndersonHistory:
    r"""The last few differences of guesses w and of their steps f(w) = G(w) - w, for solving f(w) = 0.

    From a base w the next guess is, with damping b,

    .. math:: w + b f(w) - (\Delta W + b\, \Delta F)\, \gamma, \qquad
              \gamma = \arg\min_\gamma |f(w) - \Delta F \gamma|^2 + \lambda |\gamma|^2,

    where the columns of Delta F are scaled to length one and lambda is ten units of rounding. Without differences it
    is the damped plain iteration.

    Args:
        memory: differences kept, at least 1.

    References:
        Walker, Ni, 2011, Anderson acceleration for fixed-point iterations, SIAM J. Numer. Anal. 49 (type II).
    """

    def __init__(self, memory: int) -> None:
        self._points: deque[Tensor] = deque(maxlen=memory)
        self._steps: deque[Tensor] = deque(maxlen=memory)
        self._last: tuple[Tensor, Tensor] | None = None

    def forget(self) -> None:
        """Drop everything."""
        self._points.clear()
        self._steps.clear()
        self._last = None

    def add(self, point: Tensor, step: Tensor) -> None:
        """Remember a guess [..., n] and its step [..., n]."""
        if self._last is not None:
            self._points.append(point - self._last[0])
            self._steps.append(step - self._last[1])
        self._last = point, step

    def next(self, point: Tensor, step: Tensor, damping: float) -> Tensor:
        """The guess that follows a base [..., n] with its step [..., n]."""
        plain = point.add(step, alpha=damping)
        if not self._steps:
            return plain
        points, steps = torch.stack(tuple(self._points), -2), torch.stack(tuple(self._steps), -2)
        tiny = torch.finfo(steps.dtype).tiny
        lengths = torch.linalg.vector_norm(steps, dim=-1, keepdim=True).clamp_min_(tiny)
        units = steps / lengths
        gram = (units @ units.mT).double()
        gram.diagonal(dim1=-2, dim2=-1).add_(10 * torch.finfo(steps.dtype).eps)
        target = (units @ step.unsqueeze(-1)).double()
        gamma: Tensor = torch.linalg.solve_ex(gram, target).result.to(steps.dtype) / lengths
        return plain - (gamma * points.add(steps, alpha=damping)).sum(-2)
