"""What a step takes, found on tensors without contents, against what it takes."""

import gc
from functools import partial

import pytest
import torch

from mixnash.core.accumulation import Accumulated
from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.competitive import Competitive
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.lookahead import Lookahead
from mixnash.core.dynamics.optimistic import Optimistic
from mixnash.core.dynamics.reflected import Reflected
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import feedback
from mixnash.core.games.constraints import GradientPenalty
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.optimistic_adam import OptimisticAdam
from mixnash.core.rules.preconditioned_langevin import PreconditionedLangevin
from mixnash.core.rules.sgd import SGD
from mixnash.core.tree import flatten
from mixnash.lit.callbacks.memory_report import MemoryReport
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.lit.step_memory import GIBIBYTE, MemoryTrace, StepMemory, fitting_parts, tensor_bytes
from mixnash.networks.dcgan import DCGANGenerator
from mixnash.networks.mlp import MLPCritic, MLPGenerator
from mixnash.networks.normalizations import BatchNormalization
from training import adam_dynamics, make_trainer, mgan, mixed_gan, ring, rules, wgan

PARAMETERS = 3 * (3 * 8 + 8 + 8 * 2 + 2) + 2 * (2 * 8 + 8 + 8 * 8 + 8 + 8 + 1)
"""Of `mixed_gan`: three generators and two critics."""


# ---------------------------------------------------------------------- the trace


def test_memory_is_counted_while_it_is_held_and_once_however_many_share_it():
    with MemoryTrace() as trace:
        first = torch.empty(100)
        assert (trace.now, trace.peak) == (400, 400)
        view = first[:50].reshape(5, 10)
        second = first + 1
        assert (trace.now, trace.peak) == (800, 800)
        del first
        assert trace.now == 800, "a view keeps it"
        del view, second
        assert (trace.now, trace.peak) == (0, 800)


def test_memory_from_before_counts_from_when_it_is_named():
    before = torch.empty(10, dtype=torch.float64)
    with MemoryTrace() as trace:
        trace.hold([before, before[:3], "no tensor"])
        assert trace.now == 80
        before.add_(1)
    assert trace.peak == 80


def test_what_a_backward_pass_keeps_counts():
    weight = torch.randn(20, 20, requires_grad=True)
    with MemoryTrace() as trace:
        hidden = torch.empty(30, 20) @ weight
        kept = hidden.tanh()
        del hidden
        torch.autograd.grad(kept.sum(), weight)
    assert trace.peak >= 4 * (2 * 30 * 20 + 20 * 20)


def test_bytes_of_tensors_that_share_memory_count_once():
    leaf = torch.empty(4, 5)
    assert tensor_bytes([leaf, leaf[1:], leaf.view(20), torch.empty(3, dtype=torch.int64)]) == 80 + 24


# ---------------------------------------------------------------------- steps

LANGEVIN, PRECONDITIONED = Langevin(1e-3, 1e-3), PreconditionedLangevin(1e-3, 1e-4)
DYNAMICS = {
    "alternating Adam": lambda: adam_dynamics(critic_steps=2),
    "extragradient": lambda: Extragradient(rules(PRECONDITIONED, EntropicMirrorDescent(0.1)), rules(LANGEVIN)),
    "optimistic": lambda: Optimistic(rules(OptimisticAdam(1e-3)), rules(Adam(1e-3, 0.5))),
    "reflected": lambda: Reflected(rules(Adam(1e-3)), rules(Adam(1e-3))),
    "lookahead": lambda: Lookahead(Simultaneous(rules(LANGEVIN), rules(Adam(1e-3)))),
}


def attached(module, folder, steps=1):
    """A module that has begun a run, and made some steps."""
    trainer = make_trainer(folder, steps)
    trainer.fit(module, datamodule=ring())
    return module


def measured(module) -> int:
    """The most that one more step of a module holds at a time, counted by the same trace on tensors with contents."""
    real = ring().training_draws(0, module.draws_per_step * 24).reshape(module.draws_per_step, 24, 2)
    gc.collect()
    with MemoryTrace() as trace:
        trace.hold([real, *module.state_dict().values()])
        trace.hold(leaf for leaf in _leaves(module._stepper._state))
        module._advance(real)
    return trace.peak


def _leaves(state):
    return flatten(state).values()


@pytest.mark.parametrize("name", DYNAMICS)
def test_a_step_without_contents_takes_what_a_step_with_them_takes(name, tmp_path):
    module = attached(mixed_gan(DYNAMICS[name]()), tmp_path)
    found = module.step_memory()
    assert not found.is_bound
    # The average of generators is updated in place, and what guards and logs keep are a few numbers.
    assert found.peak == pytest.approx(measured(module), rel=0.02)


def test_what_is_held_between_steps_is_positions_moments_averages_and_samples(tmp_path):
    module = attached(mixed_gan(adam_dynamics()), tmp_path)
    averages = 3 * (3 * 8 + 8 + 8 * 2 + 2)
    samples, log_weights = 2 * 24 * 2, 5
    assert module.step_memory().held == pytest.approx(4 * (3 * PARAMETERS + averages + samples + log_weights), rel=0.01)


@pytest.mark.parametrize("make", [wgan, mgan])
def test_of_baselines_a_bound_is_found(make, tmp_path):
    found = attached(make(), tmp_path).step_memory()
    assert found.is_bound
    assert 0 < found.held < found.peak


def test_of_dynamics_that_look_at_numbers_a_bound_is_found(tmp_path):
    competitive = attached(mixed_gan(Competitive(1e-3)), tmp_path).step_memory()
    assert competitive.is_bound
    assert competitive.peak > competitive.held >= 4 * PARAMETERS


def test_looking_changes_no_draw_and_no_parameter(tmp_path):
    module = attached(mixed_gan(DYNAMICS["extragradient"]()), tmp_path)
    before = {name: leaf.clone() for name, leaf in module.state_dict().items()}
    state = torch.get_rng_state()
    module.step_memory()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(leaf, before[name]) for name, leaf in module.state_dict().items())


def test_the_estimate_is_printed_before_training(tmp_path, capsys):
    make_trainer(tmp_path, 1, [MemoryReport()]).fit(mixed_gan(adam_dynamics()), datamodule=ring())
    assert capsys.readouterr().out.startswith(
        "memory: about 0.0 MiB at the peak of a step, 0.0 MiB of it between steps; "
    )


# ---------------------------------------------------------------------- limits


def wide(memory_limit=None, generator=None):
    """A population whose activations are what takes memory."""
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return MixedGAN(
            (2,),
            generator or partial(MLPGenerator, latent_dim=3, width=64, depth=2),
            partial(MLPCritic, width=64, depth=2),
            Wasserstein(GradientPenalty(0.7)),
            Alternating(rules(SGD(1e-2), EntropicMirrorDescent(0.1)), rules(SGD(1e-2)), 1),
            3,
            4,
            generator_samples=64,
            critic_samples=32,
            ema_decay=0.9,
            seed=5,
            memory_limit=memory_limit,
        )


def test_a_limit_is_kept_and_training_is_the_same(tmp_path):
    whole = attached(wide(), tmp_path / "whole", steps=3)
    needed = whole.step_memory()
    limit = (needed.held + 0.4 * (needed.peak - needed.held)) / GIBIBYTE
    parts = attached(wide(limit), tmp_path / "parts", steps=3)
    assert measured(whole) > limit * GIBIBYTE >= measured(parts)
    assert parts.step_memory().peak <= limit * GIBIBYTE < needed.peak
    for name, leaf in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], leaf, rtol=1e-5, atol=1e-6)


def test_a_generous_limit_changes_nothing(tmp_path):
    whole, limited = (attached(wide(limit), tmp_path / str(limit)) for limit in (None, 1.0))
    assert all(torch.equal(leaf, whole.state_dict()[name]) for name, leaf in limited.state_dict().items())


def test_a_limit_that_cannot_be_kept_is_refused_with_what_would_be_needed(tmp_path):
    sentence = (
        r"In the smallest parts there are, a step takes about .* MiB at the peak of a step, .* of it between steps, "
        r"evaluated in 24 micro-batches x 4 chunks of critics, which is more than memory_limit=1e-05 GiB: give more"
    )
    with pytest.raises(InvalidInputError, match=sentence):
        attached(wide(1e-5), tmp_path)


def test_micro_batches_come_first_and_no_more_than_needed():
    asked = []

    def estimate(micro_batches, critic_chunks):
        asked.append((micro_batches, critic_chunks))
        return StepMemory(1, 64 * GIBIBYTE // (micro_batches * critic_chunks), is_bound=False)

    assert fitting_parts(estimate, 16.0, 24, 3) == (4, 1)
    assert asked == [(1, 1), (2, 1), (4, 1)]
    assert fitting_parts(estimate, 1.5, 24, 3) == (24, 2)
    assert fitting_parts(estimate, 0.9, 24, 3) == (24, 3)


@pytest.mark.parametrize("limit", [0.0, -1.0])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(InvalidInputError, match="memory_limit must be a positive number of GiB, found"):
        wide(limit)


def test_networks_that_look_at_several_samples_are_not_split():
    generator = partial(DCGANGenerator, latent_dim=4, width=4, normalization=BatchNormalization())
    with pytest.raises(InvalidInputError, match="the generator normalises by batches, so that a part"):
        MixedGAN(
            (1, 16, 16),
            generator,
            lambda shape: MLPCritic(shape, 8, 1),
            Wasserstein(GradientPenalty(0.7)),
            adam_dynamics(),
            2,
            1,
            memory_limit=1.0,
        )


def test_any_evaluation_can_be_wrapped_by_those_who_count(tmp_path):
    seen = []

    def counted(*arguments):
        seen.append(arguments)
        return feedback(*arguments)

    module = wide()
    module.evaluate = counted
    attached(module, tmp_path)
    assert len(seen) == 2
    assert isinstance(Accumulated(1, 1, counted), Accumulated)
