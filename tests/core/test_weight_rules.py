"""Weight rules: steps by hand, exponential weights in closed form, the entropic fixed point, the floor."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixnash.core.errors import InvalidInputError
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.frozen import Frozen
from mixnash.core.schedules import Cosine, Polynomial
from problems import DOUBLE, follow, log, normal

START = [0.5, 0.3, 0.2]


def test_one_step_multiplies_weights_by_the_exponential_of_their_losses():
    losses = [1.0, 2.0, -0.5]
    got, state = follow(EntropicMirrorDescent(0.7), log(START), torch.tensor([losses], dtype=DOUBLE))
    raw = [p * math.exp(-0.7 * loss) for p, loss in zip(START, losses, strict=True)]
    assert got.exp().tolist() == pytest.approx([one / sum(raw) for one in raw], abs=1e-14)
    assert state.updates == 1


def test_one_step_with_an_entropy_bonus_also_flattens_the_weights():
    losses = [1.0, 2.0, -0.5]
    got, _ = follow(EntropicMirrorDescent(0.7, entropy=0.4), log(START), torch.tensor([losses], dtype=DOUBLE))
    raw = [p ** (1 - 0.28) * math.exp(-0.7 * loss) for p, loss in zip(START, losses, strict=True)]
    assert got.exp().tolist() == pytest.approx([one / sum(raw) for one in raw], abs=1e-14)


def test_many_steps_are_exponential_weights_of_the_scheduled_sum_of_losses():
    schedule, losses = Polynomial(0.2, 0.5, 3.0), normal(200, 3)
    got, state = follow(EntropicMirrorDescent(schedule), log(START), losses)
    total = sum(0.2 / math.sqrt(1 + t / 3) * loss for t, loss in enumerate(losses))
    torch.testing.assert_close(got, torch.log_softmax(log(START) - total, 0), rtol=0, atol=1e-11)
    assert state.updates == 200


@pytest.mark.parametrize("entropy", [0.05, 0.3, 2.0])
def test_constant_losses_with_an_entropy_bonus_lead_to_the_gibbs_weights(entropy):
    losses = torch.tensor([0.1, -0.2, 0.4, 0.35], dtype=DOUBLE)
    rule = EntropicMirrorDescent(0.3, entropy)
    start = log([0.97, 0.01, 0.01, 0.01])
    got, _ = follow(rule, start, losses.expand(math.ceil(40 / (0.3 * entropy)), 4))
    torch.testing.assert_close(got.exp(), torch.softmax(-losses / entropy, 0), rtol=0, atol=1e-12)
    still, _ = follow(rule, got, losses.unsqueeze(0))
    torch.testing.assert_close(still, got, rtol=0, atol=1e-12)


def test_a_common_shift_of_the_losses_changes_nothing():
    rule, losses = EntropicMirrorDescent(0.3, 0.2), normal(5, 3)
    torch.testing.assert_close(follow(rule, log(START), losses)[0], follow(rule, log(START), losses + 7.0)[0])


def test_the_step_minimises_the_linearised_loss_plus_the_divergence():
    # p' = argmin <p, l + tau log p_0> + KL(p | p_0) / eta: every other weight is worse.
    losses, p_0 = torch.tensor([1.0, 2.0, -0.5], dtype=DOUBLE), torch.tensor(START, dtype=DOUBLE)
    new = follow(EntropicMirrorDescent(0.7, 0.4), p_0.log(), losses.unsqueeze(0))[0].exp()

    def objective(p):
        return float((p * (losses + 0.4 * p_0.log())).sum() + (p * (p / p_0).log()).sum() / 0.7)

    for key in range(20):
        other = torch.softmax(new.log() + 0.1 * normal(3, key=key), 0)
        assert objective(other) > objective(new)


@given(
    st.lists(st.tuples(st.floats(-20, 20), st.floats(-1e3, 1e3)), min_size=1, max_size=6),
    st.floats(0.01, 5),
    st.floats(0, 0.99),
)
def test_log_weights_stay_normalised_finite_and_above_the_floor(pairs, step_size, share):
    start, losses = torch.tensor(pairs, dtype=DOUBLE).unbind(1)
    rule = EntropicMirrorDescent(step_size, entropy=share / step_size * 0.99, floor=-30.0)
    got, _ = follow(rule, torch.log_softmax(start, 0), losses.expand(3, -1))
    assert abs(float(torch.logsumexp(got, 0))) < 1e-12
    assert float(got.min()) >= -30 - 1e-9


def test_a_particle_at_the_floor_keeps_exactly_that_weight_and_can_come_back():
    rule, bad = EntropicMirrorDescent(1.0, floor=-5.0), torch.tensor([[0.0, 0.0, 1e3]], dtype=DOUBLE)
    down, state = follow(rule, log(START), bad.expand(50, 3))
    raw = [5 / 8, 3 / 8, math.exp(-5)]  # the others keep their ratio
    assert down.exp().tolist() == pytest.approx([one / sum(raw) for one in raw], abs=1e-12)
    up, _ = rule.update(down, torch.tensor([0.0, 0.0, -5.5], dtype=DOUBLE), state)
    assert float(up[2].exp()) == pytest.approx(math.exp(0.5) / (1 + math.exp(0.5)), abs=1e-12)


def test_weights_stay_normalised_in_single_precision_over_many_steps():
    got, _ = follow(EntropicMirrorDescent(0.1), log(START).float(), normal(2000, 3).float())
    assert got.dtype == torch.float32
    assert abs(float(torch.logsumexp(got, 0))) < 1e-6


def test_a_single_particle_keeps_all_the_weight():
    got, _ = follow(EntropicMirrorDescent(0.5, 0.3), torch.zeros(1, dtype=DOUBLE), normal(5, 1))
    assert got.tolist() == [0.0]


def test_frozen_weights_never_move():
    got, state = follow(Frozen(), log(START), normal(10, 3))
    assert torch.equal(got, log(START))
    assert state == Frozen().init(log(START))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: EntropicMirrorDescent(0.0), "step size of entropic mirror descent must be positive"),
        (lambda: EntropicMirrorDescent(0.1, -0.1), "entropy bonus must be at least 0, found -0.1"),
        (lambda: EntropicMirrorDescent(0.5, 2.0), "Step size times entropy bonus must stay below 1, found 0.5 x 2.0"),
        (lambda: EntropicMirrorDescent(Cosine(0.1, 0.5, 9), 2.0), "must stay below 1, found 0.5 x 2.0"),
        (lambda: EntropicMirrorDescent(0.1, floor=0.0), "floor of log-weights must be negative, found 0.0"),
    ],
)
def test_entropic_mirror_descent_refuses_arguments_outside_their_range(build, message):
    with pytest.raises(InvalidInputError, match=message):
        build()
