"""Softmax weights by backpropagation: autograd, a step by hand, torch's Adam, and where the gradient vanishes."""

import math

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.sgd import SGD
from mixnash.core.rules.softmax_descent import SoftmaxDescent
from mixnash.core.schedules import Exponential
from problems import DOUBLE, follow, log, normal

START = [0.5, 0.3, 0.2]


def penalised_loss(logits, losses, entropy_weight):
    """What the rule descends, written out."""
    log_weights = torch.log_softmax(logits, 0)
    return (log_weights.exp() * losses).sum() - entropy_weight * log_weights.mean()


def autograd_walk(optimiser, logits, losses, entropy_weight):
    """torch's own optimiser on logits that are never normalised."""
    for one in losses:
        optimiser.zero_grad()
        penalised_loss(logits, one, entropy_weight).backward()
        optimiser.step()
    return torch.log_softmax(logits.detach(), 0)


def test_one_plain_step_by_hand():
    # <p, l> = 1, so p (l - 1) = (0, 0.3, -0.3); p - 1/3 = (1/6, -1/30, -2/15), times 0.6: (0.1, -0.02, -0.08).
    losses = torch.tensor([[1.0, 2.0, -0.5]], dtype=DOUBLE)
    got, _ = follow(SoftmaxDescent(SGD(0.5), 0.6), log(START), losses)
    raw = [0.5 * math.exp(-0.05), 0.3 * math.exp(-0.14), 0.2 * math.exp(0.19)]
    assert got.exp().tolist() == pytest.approx([one / sum(raw) for one in raw], abs=1e-14)


@pytest.mark.parametrize("entropy_weight", [0.0, 0.3])
def test_plain_descent_follows_the_gradient_that_autograd_finds(entropy_weight):
    losses, logits = normal(40, 3), (log(START) + 5).requires_grad_()
    expected = autograd_walk(torch.optim.SGD([logits], 0.4), logits, losses, entropy_weight)
    got, _ = follow(SoftmaxDescent(SGD(0.4), entropy_weight), log(START), losses)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    assert float((got - log(START)).abs().max()) > 0.05


def test_adam_moves_the_logits_as_torch_does_although_log_weights_stand_in_for_them():
    losses, logits = normal(40, 3), (log(START) + 5).requires_grad_()
    expected = autograd_walk(torch.optim.Adam([logits], 0.05, betas=(0.5, 0.9)), logits, losses, 0.2)
    got, _ = follow(SoftmaxDescent(Adam(0.05, 0.5, 0.9), 0.2), log(START), losses)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-11)


def test_step_sizes_follow_their_schedule():
    losses = normal(2, 3)
    first, _ = follow(SoftmaxDescent(SGD(0.8), 0.1), log(START), losses[:1])
    second, _ = follow(SoftmaxDescent(SGD(0.4), 0.1), first, losses[1:])
    got, _ = follow(SoftmaxDescent(SGD(Exponential(0.8, 0.5)), 0.1), log(START), losses)
    torch.testing.assert_close(got, second, rtol=0, atol=1e-14)


@pytest.mark.parametrize("descent", [SGD(2.0), Adam(Exponential(0.1, 0.97), 0.5, 0.9)], ids=["SGD", "Adam"])
def test_constant_losses_lead_to_the_weights_where_the_gradient_vanishes(descent):
    # p (l - <p, l>) + w (p - 1/n) = 0 is p_k = w / (n (l_k - <p, l> + w)), with <p, l> = c from sum p = 1.
    losses, entropy_weight = torch.tensor([0.1, -0.2, 0.4, 0.35], dtype=DOUBLE), 0.6
    start = log([0.7, 0.1, 0.1, 0.1])
    end, _ = follow(SoftmaxDescent(descent, entropy_weight), start, losses.expand(600, 4))
    got = end.exp()
    mean = float(got @ losses)
    expected = [entropy_weight / (4 * (one - mean + entropy_weight)) for one in losses.tolist()]
    assert got.tolist() == pytest.approx(expected, abs=1e-7)
    assert got[1] > got[0] > got[3] > got[2]


def test_a_particle_of_almost_no_weight_hardly_feels_its_loss_and_the_penalty_brings_it_back():
    start, losses = log([1 - 1e-6, 1e-6]), torch.tensor([[1.0, 0.0]], dtype=DOUBLE)
    unpenalised, _ = follow(SoftmaxDescent(SGD(1.0), 0.0), start, losses)
    assert float(unpenalised[1] - start[1]) == pytest.approx(2e-6, rel=1e-3)
    penalised, _ = follow(SoftmaxDescent(SGD(1.0), 0.1), start, losses)
    assert float(penalised[1] - penalised[0] - start[1] + start[0]) == pytest.approx(0.1, rel=1e-3)


def test_each_game_of_a_batch_moves_by_itself():
    rule, losses, start = SoftmaxDescent(SGD(0.4), 0.2), normal(2, 3), torch.stack([log(START), log(START[::-1])])
    together, _ = rule.update(start, losses, rule.init(start))
    for game in range(2):
        alone, _ = follow(rule, start[game], losses[game : game + 1])
        torch.testing.assert_close(together[game], alone, rtol=0, atol=1e-14)


def test_a_negative_entropy_weight_is_refused():
    with pytest.raises(InvalidInputError, match=r"entropy weight must be at least 0, found -0\.1"):
        SoftmaxDescent(SGD(0.1), -0.1)
