"""States as flat dictionaries: for checkpoints that load with `weights_only=True`, and for moving devices.

A state is a tree of NamedTuples, tuples and string-keyed dictionaries whose leaves are tensors and ints.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.random import ParticleNoise
from mixnash.core.types import Params

Leaf = Tensor | int
T = TypeVar("T")


def _children(tree: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        yield from tree.items()
    else:
        names = range(len(tree)) if type(tree) is tuple else type(tree)._fields
        yield from ((str(name), child) for name, child in zip(names, tree, strict=True))


def _is_leaf(tree: Any) -> bool:
    return isinstance(tree, Tensor | int)


def flatten(tree: Any, prefix: str = "") -> dict[str, Leaf]:
    """The leaves of a state by path, for example `critics/position/updates`."""
    if _is_leaf(tree):
        return {prefix: tree}
    flat: dict[str, Leaf] = {}
    for name, child in _children(tree):
        flat |= flatten(child, f"{prefix}/{name}" if prefix else name)
    return flat


def map_leaves(function: Callable[[str, Leaf], Leaf], tree: T, prefix: str = "") -> T:
    """The same state with every leaf replaced by `function(path, leaf)`."""
    if isinstance(tree, Tensor | int):
        return function(prefix, tree)  # type: ignore[return-value]
    new = {name: map_leaves(function, child, f"{prefix}/{name}" if prefix else name) for name, child in _children(tree)}
    if isinstance(tree, dict):
        return new  # type: ignore[return-value]
    if type(tree) is tuple:
        return tuple(new.values())  # type: ignore[return-value]
    return type(tree)(*new.values())


def unflatten(template: T, flat: dict[str, Leaf]) -> T:
    """Fill a state shaped like `template` with saved leaves, on the template's devices.

    Raises:
        InvalidInputError: when names, kinds or shapes differ from the template's.
    """
    expected = flatten(template)
    odd = sorted(expected.keys() ^ flat.keys())
    require(
        not odd,
        f"The checkpoint does not fit this configuration: it differs in {len(odd)} entries of the training state, "
        f"the first being {odd[0] if odd else ''!r}. Resume with the configuration the run was started with.",
    )

    def restore(path: str, leaf: Leaf) -> Leaf:
        saved = flat[path]
        if isinstance(leaf, Tensor) and isinstance(saved, Tensor):
            require(
                leaf.shape == saved.shape,
                f"The checkpoint does not fit this configuration: {path!r} has shape {tuple(saved.shape)}, "
                f"expected {tuple(leaf.shape)}. Resume with the configuration the run was started with.",
            )
            return saved.to(device=leaf.device, dtype=leaf.dtype)
        require(
            isinstance(leaf, int) and isinstance(saved, int),
            f"The checkpoint does not fit this configuration: {path!r} is of another kind than expected.",
        )
        return saved

    return map_leaves(restore, template)


def map_params(function: Callable[..., Tensor], *params: Params) -> Params:
    """Apply `function` leaf by leaf to dictionaries of the same names."""
    first, *rest = params
    return {name: function(leaf, *(other[name] for other in rest)) for name, leaf in first.items()}


def normal_like(params: Params, rng: torch.Generator) -> Params:
    """Standard normal noise in the shapes of `params`, drawn leaf by leaf in the order of their names.

    From `ParticleNoise` it is drawn particle by particle instead.
    """
    if isinstance(rng, ParticleNoise):
        return rng.normals(params)
    return {
        name: torch.randn(leaf.shape, generator=rng, device=leaf.device, dtype=leaf.dtype)
        for name, leaf in sorted(params.items())
    }


def zeros_like(params: Params) -> Params:
    """Zeros in the shapes of `params`."""
    return map_params(torch.zeros_like, params)


def over_leaf(numbers: Tensor, leaf: Tensor) -> Tensor:
    """A number per game [*games] or particle [*games, K], shaped to broadcast over a leaf [*games, K, ...]."""
    return numbers.reshape(numbers.shape + (1,) * (leaf.dim() - numbers.dim()))


def take(params: Params, index: Tensor) -> Params:
    """The particles of the given indices [*games, n]: leaves [*games, K, ...] become [*games, n, ...]."""
    axis = index.dim() - 1

    def gather(leaf: Tensor) -> Tensor:
        return leaf.gather(axis, over_leaf(index, leaf).expand(*index.shape, *leaf.shape[axis + 1 :]))

    return map_params(gather, params)
