"""States as flat dictionaries: paths, round trips, and refusals of what does not fit."""

from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixnash.core.errors import InvalidInputError
from mixnash.core.tree import flatten, map_leaves, map_params, normal_like, unflatten
from mixnash.core.types import Params
from problems import make_rng


class Inner(NamedTuple):
    updates: int
    mean: Params


class Empty(NamedTuple):
    pass


class Outer(NamedTuple):
    inner: Inner
    pair: tuple[int, Inner]
    nothing: Empty


def example(offset=0):
    inner = Inner(3 + offset, {"w.weight": torch.arange(4.0).reshape(2, 2) + offset, "b": torch.ones(1) * offset})
    return Outer(inner, (5 + offset, Inner(1, {"w": torch.zeros(3, dtype=torch.float64) + offset})), Empty())


PATHS = ["inner/updates", "inner/mean/w.weight", "inner/mean/b", "pair/0", "pair/1/updates", "pair/1/mean/w"]

TREES = st.recursive(
    st.integers(0, 9) | st.integers(0, 3).map(lambda n: torch.full((n,), float(n))),
    lambda child: (
        st.dictionaries(st.sampled_from("abc"), child, max_size=3)
        | st.tuples(child, child)
        | st.builds(Inner, child, child)
    ),
    max_leaves=8,
)


def same(one, other):
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_flatten_names_leaves_by_path():
    flat = flatten(example())
    assert list(flat) == PATHS
    assert flat["pair/0"] == 5
    assert torch.equal(flat["inner/mean/w.weight"], torch.tensor([[0.0, 1.0], [2.0, 3.0]]))


def test_unflatten_fills_the_template_with_the_saved_leaves():
    restored = unflatten(example(), flatten(example(offset=2)))
    assert same(restored, example(offset=2))
    assert not same(restored, example())


@given(TREES)
def test_unflatten_undoes_flatten(tree):
    assert same(unflatten(tree, flatten(tree)), tree)


@given(TREES)
def test_map_leaves_keeps_the_structure_and_sees_every_path_once(tree):
    seen = []

    def note(path, leaf):
        seen.append(path)
        return leaf

    assert same(map_leaves(note, tree), tree)
    assert seen == list(flatten(tree))


def test_map_leaves_replaces_every_leaf():
    doubled = map_leaves(lambda path, leaf: leaf * 2, example(offset=1))
    assert flatten(doubled)["pair/0"] == 12
    assert torch.equal(doubled.inner.mean["b"], torch.full((1,), 2.0))


def test_unflatten_converts_to_the_templates_dtype():
    flat = {
        name: leaf.double() if isinstance(leaf, torch.Tensor) else leaf for name, leaf in flatten(example()).items()
    }
    assert unflatten(example(), flat).inner.mean["b"].dtype == torch.float32


def test_unflatten_names_an_entry_that_is_missing_or_too_many():
    flat = flatten(example())
    message = "differs in 1 entries of the training state, the first being 'inner/mean/b'. Resume with"
    with pytest.raises(InvalidInputError, match=message):
        unflatten(example(), {name: leaf for name, leaf in flat.items() if name != "inner/mean/b"})
    with pytest.raises(InvalidInputError, match="differs in 1 entries of the training state, the first being 'more'"):
        unflatten(example(), flat | {"more": 1})


def test_unflatten_names_an_entry_of_another_shape():
    with pytest.raises(InvalidInputError, match=r"'pair/1/mean/w' has shape \(2,\), expected \(3,\)"):
        unflatten(example(), flatten(example()) | {"pair/1/mean/w": torch.zeros(2)})


@pytest.mark.parametrize(("path", "leaf"), [("pair/0", torch.zeros(())), ("inner/mean/b", 1)])
def test_unflatten_names_an_entry_of_another_kind(path, leaf):
    with pytest.raises(InvalidInputError, match=f"'{path}' is of another kind"):
        unflatten(example(), flatten(example()) | {path: leaf})


def test_map_params_matches_leaves_by_name():
    one, other = (
        {"a": torch.tensor([1.0]), "b": torch.tensor([2.0])},
        {"b": torch.tensor([10.0]), "a": torch.tensor([20.0])},
    )
    assert {name: float(leaf) for name, leaf in map_params(torch.sub, one, other).items()} == {"a": -19.0, "b": -8.0}


def test_noise_has_the_shapes_and_dtypes_of_the_parameters_and_does_not_depend_on_their_order():
    params = {"b": torch.zeros(3, 2, dtype=torch.float64), "a": torch.zeros(4)}
    noise = normal_like(params, make_rng(1))
    again = normal_like(dict(reversed(params.items())), make_rng(1))
    for name, leaf in params.items():
        assert (noise[name].shape, noise[name].dtype) == (leaf.shape, leaf.dtype)
        assert torch.equal(noise[name], again[name])


def test_noise_is_standard_normal_and_independent_between_leaves():
    noise = normal_like({"a": torch.zeros(20000), "b": torch.zeros(20000)}, make_rng(2))
    for leaf in noise.values():
        assert abs(float(leaf.mean())) < 4 / 20000**0.5
        assert abs(float(leaf.var()) - 1) < 4 * (2 / 20000) ** 0.5
    assert abs(float((noise["a"] * noise["b"]).mean())) < 4 / 20000**0.5
