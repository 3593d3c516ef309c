"""Checked inputs of the figures: numpy arrays or tensors become plain double-precision arrays, never in place."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mixnash.core.errors import require

Array: TypeAlias = NDArray[Any] | Tensor
"""What the figures accept."""

Limits: TypeAlias = tuple[float, float, float, float]
"""A window of the plane (xmin, xmax, ymin, ymax), in data coordinates."""

_WEIGHT_TOLERANCE = 1e-3  # float32 weights of a thousand particles sum to 1 much closer than this


def numbers(values: Array, name: str, *shape: int | str) -> NDArray[np.float64]:
    """`values` in double precision, if it has the expected shape.

    Args:
        values: numbers of any dtype; NaN and infinities pass.
        name: what it is, for the message.
        *shape: an axis each; an integer is demanded, a string names an axis of any length.

    Raises:
        InvalidInputError: when the shape differs.
    """
    found = tuple(values.shape)
    fits = len(found) == len(shape) and all(
        wanted == length or isinstance(wanted, str) for wanted, length in zip(shape, found, strict=True)
    )
    expected = ", ".join(str(wanted) for wanted in shape)
    require(fits, f"Expected {name} of shape [{expected}], found [{', '.join(map(str, found))}].")
    plain = values.detach().cpu().double().numpy() if isinstance(values, Tensor) else values
    return plain.astype(np.float64)


def indices(values: Array, name: str, length: int, below: int | None) -> tuple[NDArray[np.int64], int]:
    """Integers [length] in [0, below), and their upper bound.

    Args:
        values: indices of particles.
        name: what they are, for the message.
        length: how many.
        below: the exclusive upper bound; the largest index plus one if None.

    Raises:
        InvalidInputError: when the shape differs, a value is no integer, or one lies outside the range.
    """
    found = numbers(values, name, length)
    whole = found.astype(np.int64) if bool(np.isfinite(found).all()) else np.full(found.shape, -1)
    require(bool((whole == found).all()), f"Expected integers as {name}, found {values.dtype} with other values.")
    bound = int(whole.max(initial=-1)) + 1 if below is None else below
    inside = bool(((whole >= 0) & (whole < bound)).all())
    require(
        inside, f"Expected {name} in [0, {bound}), found values in [{whole.min(initial=0)}, {whole.max(initial=0)}]."
    )
    return whole, max(bound, 1)


def probabilities(values: Array, name: str, length: int | str) -> NDArray[np.float64]:
    """Weights of a mixed strategy [length].

    Raises:
        InvalidInputError: when the shape differs, there is none, or they are not probabilities that sum to 1.
    """
    weights = numbers(values, name, length)
    total = float(weights.sum())
    valid = weights.size > 0 and bool((weights >= 0).all()) and abs(total - 1) < _WEIGHT_TOLERANCE
    require(valid, f"Expected {name} to be probabilities that sum to 1, found {weights.size} that sum to {total:.4g}.")
    return weights


def counts(values: Array, name: str, *shape: int | str) -> NDArray[np.float64]:
    """Numbers of samples, expected ones included: finite, at least 0, at least one of them.

    Raises:
        InvalidInputError: when the shape differs, there is none, or one is negative or not finite.
    """
    found = numbers(values, name, *shape)
    require(found.size > 0, f"Expected at least one entry in {name}, found shape {found.shape}.")
    require(
        bool((np.isfinite(found) & (found >= 0)).all()),
        f"Expected {name} to be finite and at least 0, found values in [{found.min()}, {found.max()}].",
    )
    return found
