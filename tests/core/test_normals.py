"""Normal numbers by hashing: the published generator's words, good normals, nothing but key, particle and place."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixnash.core import normals
from mixnash.core.normals import FACTORS, INCREMENT, SHIFTS, keyed_normals
from mixnash.core.random import ParticleNoise, StepNoise, mix_key
from mixnash.core.shares import Share, share_of
from mixnash.core.types import Player

CPU = torch.device("cpu")
WORD = 1 << 64
PRECISIONS = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def drawn(share=None, count=100_000, dtype=torch.float64, key=20240817):
    return keyed_normals(key, Share(0, 16, 16) if share is None else share, count, torch.zeros((), dtype=dtype))


def hashed(state):
    """SplitMix64's finaliser on Python's integers."""
    for shift, factor in zip(SHIFTS, (*FACTORS, 1), strict=True):
        state = ((state ^ (state >> shift)) * factor) % WORD
    return state


def signed(number, bits):
    number %= 1 << bits
    return number - (1 << bits) if number >> (bits - 1) else number


def by_hand(key, particle, place, bits):
    """One number, from the module's equations and Python's integers; 128 numbers share 64 radii and 64 angles."""
    own = hashed((key + (particle + 1) * INCREMENT) % WORD)
    group, side, lane = place // 128, place // 64 % 2, place % 64

    def integer(index):
        per_word = 64 // bits
        word = hashed((own + (index // per_word + 1) * INCREMENT) % WORD)
        return signed(word >> (bits * (index % per_word)), bits)

    u = (2 * abs(integer(128 * group + lane)) + 1) / 2**bits
    angle = math.pi * integer(128 * group + 64 + lane) / 2 ** (bits - 1)
    return math.sqrt(-2 * math.log(u)) * (math.sin(angle) if side else math.cos(angle))


def test_finaliser_makes_the_published_outputs_of_splitmix64_seeded_with_zero():
    words = normals._finalise(torch.tensor([INCREMENT - WORD, 2 * INCREMENT % WORD]))
    assert [int(word) % WORD for word in words] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


@pytest.mark.parametrize(("dtype", "bits", "tolerance"), [(torch.float32, 32, 2e-6), (torch.float64, 64, 1e-14)])
@given(
    key=st.integers(0, 2**63 - 1), first=st.integers(0, 10**6), place=st.integers(0, 600), behind=st.integers(0, 300)
)
def test_number_is_that_of_the_equations(dtype, bits, tolerance, key, first, place, behind):
    rows = drawn(Share(first, 3, first + 9), place + behind + 1, dtype, key)
    for row in range(3):
        assert float(rows[row, place]) == pytest.approx(by_hand(key, first + row, place, bits), abs=tolerance)


@PRECISIONS
@given(total=st.integers(1, 12), parts=st.integers(1, 12), count=st.integers(1, 900), more=st.integers(0, 300))
def test_share_of_the_particles_gets_their_numbers_whatever_follows_to_the_last_bit(dtype, total, parts, count, more):
    whole = drawn(Share(0, total, total), count + more, dtype)
    shares = [share_of(total, min(parts, total), index) for index in range(min(parts, total))]
    assert torch.equal(torch.cat([drawn(share, count, dtype) for share in shares]), whole[:, :count])


@PRECISIONS
@pytest.mark.parametrize("at_once", [1, 1000, 5000])
def test_numbers_do_not_depend_on_how_many_are_made_at_once(dtype, at_once, monkeypatch):
    expected = drawn(Share(0, 3, 3), 5003, dtype)
    monkeypatch.setattr(normals, "_numbers_at_once", lambda device: at_once)
    assert torch.equal(drawn(Share(0, 3, 3), 5003, dtype), expected)


@PRECISIONS
def test_moments_are_those_of_the_normal_law(dtype):
    x = drawn(dtype=dtype).double()
    errors = 4 / x.numel() ** 0.5  # four standard errors, of x^n with variance (2n - 1)!! - ((n - 1)!!)^2
    assert abs(float(x.mean())) < errors
    assert abs(float(x.square().mean()) - 1) < errors * 2**0.5
    assert abs(float(x.pow(3).mean())) < errors * 15**0.5
    assert abs(float(x.pow(4).mean()) - 3) < errors * 96**0.5


@PRECISIONS
def test_distribution_is_normal_into_the_tails(dtype):
    x = drawn(count=200_000, dtype=dtype).double()
    for bound in (-4.5, -4.0, -3.0, -2.0, -1.0, -0.1, 0.0, 0.1, 1.0, 2.0, 3.0, 4.0, 4.5):
        share = 0.5 * math.erfc(-bound / 2**0.5)
        error = (share * (1 - share) / x.numel()) ** 0.5
        assert abs(float((x <= bound).double().mean()) - share) < 4 * error, bound
    # Of 3.2 million numbers the largest is about 5.1; a tail cut off at 24 bits or a stuck word would show.
    assert 4.8 < float(x.abs().max()) < 6.5


def test_particles_draws_players_and_places_are_uncorrelated():
    count = 100_000
    noise = StepNoise(CPU, (5, 2, 7), {player: Share(0, 4, 4) for player in Player})
    template = {"w": torch.zeros(4, count, dtype=torch.float64)}
    rows = torch.cat([noise.of(player).normals(template)["w"] for player in Player for _ in range(2)])
    rows = torch.cat([rows, rows[:2].roll(1, 1), rows[:2].roll(64, 1)])  # neighbours, and both numbers of a pair
    others = rows @ rows.T / count - torch.eye(len(rows), dtype=torch.float64)
    assert float(others.abs().max()) < 5 / count**0.5
    radii = torch.corrcoef(rows.square())
    assert float((radii - torch.eye(len(rows), dtype=torch.float64)).abs().max()) < 5 / count**0.5


def test_less_than_float32_is_rounded_from_it():
    assert torch.equal(drawn(dtype=torch.bfloat16, count=99), drawn(dtype=torch.float32, count=99).bfloat16())


def test_leaves_take_their_numbers_in_the_order_of_their_names():
    noise = ParticleNoise(CPU, (1, 2), Share(3, 2, 9))
    leaves = {"b": torch.zeros(2, 3), "a": torch.zeros(2, 2, 2)}
    noise.normals(leaves)
    made = noise.normals(leaves)
    expected = keyed_normals(mix_key(1, 2, 1), Share(3, 2, 9), 7, torch.zeros(()))
    assert torch.equal(torch.cat([made["a"].flatten(1), made["b"]], 1), expected)


def test_noise_goes_back_to_a_saved_state_with_joint_draws_and_those_of_particles():
    noise = StepNoise(CPU, (5, 2, 7), {player: Share(0, 2, 2) for player in Player})
    leaves = {"w": torch.zeros(2, 3)}

    def draws():
        return [
            torch.randn(3, generator=noise),
            *(noise.of(player).normals(leaves)["w"] for player in Player),
            torch.randn(3, generator=noise.of(Player.CRITIC)),
        ]

    draws()
    state = noise.get_state()
    first = draws()
    assert not any(torch.equal(one, other) for one, other in zip(first, draws(), strict=True))
    assert noise.set_state(state) is noise
    assert all(torch.equal(one, other) for one, other in zip(first, draws(), strict=True))


def test_draws_of_anybody_else_do_not_change_the_noise_of_a_players_particles():
    shares = {player: Share(0, 2, 2) for player in Player}
    quiet, busy = (StepNoise(CPU, (5, 2, 7), shares) for _ in range(2))
    leaves = {"w": torch.zeros(2, 3)}
    torch.randn(9, generator=busy)
    busy.of(Player.GENERATOR).normals(leaves)
    torch.randn(9, generator=busy.of(Player.CRITIC))
    made = (one.of(Player.CRITIC).normals(leaves)["w"] for one in (quiet, busy))
    assert torch.equal(*made)
