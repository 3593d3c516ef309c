"""Streams: known numbers of SplitMix64, and independence of streams with different keys."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixnash.core.random import Purpose, mix_key, stream

CPU = torch.device("cpu")
PARTS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4)


def test_one_part_gives_splitmix64s_published_output_without_its_last_bit():
    # The first outputs of SplitMix64 seeded with 0 are e220a839..., 6e789e6a...; ours starts one increment later.
    assert mix_key(0) == 0x6E789E6AA1B965F4 >> 1


@given(PARTS)
def test_keys_are_valid_seeds_of_torch(key):
    assert 0 <= mix_key(*key) < 2**63
    stream(CPU, *key)


@given(PARTS, PARTS)
def test_different_keys_have_different_hashes(one, other):
    assert (mix_key(*one) == mix_key(*other)) == (one == other)


def test_neighbouring_keys_do_not_collide_and_fill_all_bits():
    keys = [mix_key(seed, step, purpose) for seed in range(20) for step in range(100) for purpose in Purpose]
    assert len(set(keys)) == len(keys)
    for bit in range(63):
        ones = sum(key >> bit & 1 for key in keys)
        assert abs(ones / len(keys) - 0.5) < 5 * 0.5 / len(keys) ** 0.5


@pytest.mark.parametrize("other", [(1, 2, 4), (2, 1, 3), (1, 2), (1, 2, 3, 0)])
def test_streams_repeat_for_equal_keys_and_are_uncorrelated_for_others(other):
    first = torch.randn(4000, generator=stream(CPU, 1, 2, 3))
    assert torch.equal(first, torch.randn(4000, generator=stream(CPU, 1, 2, 3)))
    correlation = (first * torch.randn(4000, generator=stream(CPU, *other))).mean()
    assert abs(float(correlation)) < 4 / 4000**0.5


def test_a_stream_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    torch.randn(3, generator=stream(CPU, 5))
    assert torch.equal(before, torch.get_rng_state())
