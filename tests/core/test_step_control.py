"""Which trials are rejected and how step sizes change, by hand; units, bounds, weights that vanish and overflow."""

import math

import pytest
import torch

from mixnash.core.domains import Box
from mixnash.core.dynamics.adaptive_conic_mirror_prox import AdaptiveConicMirrorProx
from mixnash.core.dynamics.step_control import StepControl, Verdict, judge, resize
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.fourier_counterexample import FourierCounterexample
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.squared_distance import SquaredDistance
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import make_population
from mixnash.core.types import AbstractOracle, Profile
from mixnash.core.vector_oracle import VectorOracle
from plugins import same
from problems import DOUBLE, SpyOracle, run, vectors

START = Profile(vectors([0.01], [0.6], weights=[0.3, 0.7]), vectors([0.2], [0.5], [0.85], weights=[0.2, 0.5, 0.3]))


CONTROL = StepControl(1.0, 0.5, 1.1, 0.5)


def test_a_block_fails_above_its_third_of_the_divergence_and_is_easy_below_half_of_it():
    products = torch.tensor([[0.34, 0.32, 0.1], [-5.0, 0.15, 0.1], [0.2, 0.17, 1e-9]], dtype=DOUBLE)
    verdict = judge(
        CONTROL, products, torch.tensor([1.0, 1.0, 1e-3], dtype=DOUBLE), torch.full((3,), 1e-2, dtype=DOUBLE)
    )
    assert verdict.failed.tolist() == [[True, False, False], [False, False, False], [False, False, False]]
    assert verdict.easy.tolist() == [[False, False, False], [True, True, False], [False, False, False]]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_trial_with_a_number_that_is_not_finite_fails_in_all_blocks(bad):
    fine, broken = torch.zeros(3, 1, dtype=DOUBLE), torch.tensor([[0.0], [bad], [0.0]], dtype=DOUBLE)
    for products, divergence in ((broken, 1.0), (fine, bad)):
        verdict = judge(CONTROL, products, torch.tensor([divergence], dtype=DOUBLE), torch.zeros(1, dtype=DOUBLE))
        assert verdict.failed.all()
        assert not verdict.easy.any()


def test_failed_blocks_shrink_and_easy_ones_grow_only_where_none_failed():
    verdict = Verdict(
        torch.tensor([[True, False], [False, False], [False, False]]),
        torch.tensor([[False, True], [True, True], [False, False]]),
    )
    sizes = torch.tensor([[2.0, 2.0], [3.0, 3.0], [4.0, 4.0]], dtype=DOUBLE)
    bounds = torch.full((3, 1), 1e-3, dtype=DOUBLE), torch.full((3, 1), 3.2, dtype=DOUBLE)
    assert resize(CONTROL, sizes, verdict, bounds).tolist() == [[1.0, 2.2], [3.0, 3.2], [4.0, 4.0]]


def test_step_sizes_stop_at_their_lower_bounds_where_every_trial_is_to_be_rejected():
    dynamics = AdaptiveConicMirrorProx(0.0011, 1.1e-5, rejection_ratio=1e-12, growth_ratio=0.0, birth_interval=0)
    state = run(dynamics, VectorOracle(FourierCounterexample()), START, 2)[0][-1]
    assert state.sizes.tolist() == [1e-3, 1e-5, 1e-5]
    assert float(state.trials) == 1


def test_units_are_the_range_of_payoffs_and_the_spread_of_the_first_atoms():
    dynamics = AdaptiveConicMirrorProx(0.5, 0.01, growth=1.0)
    start = Profile(vectors([0.0, 0.0], [1.0, 0.5], [0.2, -0.5]), vectors([0.6, 0.8]))
    game = SquaredDistance(2)
    state = run(dynamics, VectorOracle(game), start, 1)[0][-1]
    values = [1.0, 0.4**2 + 0.3**2, 0.4**2 + 1.3**2]
    extent = max(values) - min(values)
    shown = dynamics.diagnostics(state)
    assert shown["generators/weight_step"] == shown["critics/weight_step"] == pytest.approx(0.5 / extent)
    assert shown["generators/position_step"] == pytest.approx(0.01 * 2.0 / extent)  # 1^2 + 1^2
    assert shown["critics/position_step"] == pytest.approx(0.01 * 1.0 / extent)  # one atom: its squared norm


def test_a_constant_payoff_and_an_atom_at_the_origin_have_unit_one():
    start = Profile(vectors([0.0]), vectors([0.0]))
    dynamics = AdaptiveConicMirrorProx(0.5, 0.01)
    assert dynamics.diagnostics(dynamics.init(start))["generators/weight_step"] == 0.0
    state = run(dynamics, VectorOracle(Bilinear([[0.0]])), start, 12)[0][-1]
    assert dynamics.diagnostics(state)["generators/weight_step"] == 0.5
    assert dynamics.diagnostics(state)["critics/position_step"] == 0.01
    assert [float(leaf) for one in state.profile for leaf in (one.params[VECTOR], one.log_weights)] == [0.0] * 4


def test_a_matrix_game_is_solved_on_its_simplices():
    # p = (3, 2) / 5 makes both columns cost 1/5, q = (2, 3) / 5 makes both rows cost 1/5.
    corners = make_population({VECTOR: torch.eye(2, dtype=DOUBLE)})
    dynamics = AdaptiveConicMirrorProx(birth_interval=0)
    state = run(dynamics, VectorOracle(Matrix([[-1.0, 1.0], [2.0, -1.0]])), Profile(corners, corners), 200)[0][-1]
    means = [one.log_weights.exp() @ one.params[VECTOR] for one in state.profile]
    assert means[0].tolist() == pytest.approx([0.6, 0.4], abs=1e-6)
    assert means[1].tolist() == pytest.approx([0.4, 0.6], abs=1e-6)


def test_single_precision_stays_finite_where_weights_vanish():
    # (x - y)^2 on [-1, 1]: x = 0 against -1 and 1, of value 1.
    start = make_population({VECTOR: torch.linspace(-1, 1, 8).unsqueeze(-1)})
    states, seen = run(AdaptiveConicMirrorProx(100.0), VectorOracle(SquaredDistance()), Profile(start, start), 200)
    for one in states[-1].profile:
        assert one.log_weights.dtype == one.params[VECTOR].dtype == torch.float32
        assert -87 < float(one.log_weights.min()) < -80
        torch.testing.assert_close(one.log_weights.logsumexp(-1), torch.zeros(()))
    assert float(seen[-1].generator_losses.min()) == pytest.approx(1, abs=1e-4)
    assert float(seen[-1].critic_losses.min()) == pytest.approx(-1, abs=1e-4)


def test_a_trial_that_overflows_is_repeated_with_all_steps_smaller():
    spy = SpyOracle(VectorOracle(FourierCounterexample()))
    spy.feedback = lambda profile, players: _broken_after_first(spy, profile, players)
    broken = run(AdaptiveConicMirrorProx(3.0, 0.2, birth_interval=0), spy, START, 1)[0][-1]
    smaller = AdaptiveConicMirrorProx(1.5, 0.1, birth_interval=0)
    expected = run(smaller, VectorOracle(FourierCounterexample()), START, 1)[0][-1]
    assert float(broken.trials) == float(expected.trials) + 1
    assert same(broken._replace(trials=expected.trials), expected)


def _broken_after_first(spy, profile, players):
    spy.profiles.append(profile)
    seen = spy.oracle.feedback(profile, players)
    return seen._replace(generator_losses=seen.generator_losses * math.nan) if len(spy.profiles) == 2 else seen


class Split(AbstractOracle):
    """A game on the plane whose particles have their two coordinates as leaves [K] and [K, 1]."""

    def __init__(self, oracle):
        self.oracle = oracle

    def resample(self):
        self.oracle.resample()

    def feedback(self, profile, players):
        joined = Profile(*(one._replace(params=self.join(one.params)) for one in profile))
        seen = self.oracle.feedback(joined, players)
        if not players:
            return seen
        return seen._replace(
            generator_grads=self.split(seen.generator_grads), critic_grads=self.split(seen.critic_grads)
        )

    def linearise(self, profile):
        raise AssertionError("Nobody needs it.")

    def project(self, player, params):
        return self.split(self.oracle.project(player, self.join(params)))

    def propose(self, player, shape, rng):
        return self.split(self.oracle.propose(player, shape, rng))

    @staticmethod
    def join(params):
        return {VECTOR: torch.cat([params["first"].unsqueeze(-1), params["second"]], -1)}

    @staticmethod
    def split(params):
        return {"first": params[VECTOR][..., 0], "second": params[VECTOR][..., 1:]}


def test_particles_of_several_leaves_move_like_the_vector_of_all_their_coordinates():
    whole = VectorOracle(SquaredDistance(2, *(Box([-1.0, -2.0], [1.0, 2.0]),) * 2))
    start = Profile(vectors([0.3, 1.1], [-0.6, 0.4], weights=[0.4, 0.6]), vectors([0.9, -1.2], [0.1, 0.2], [-0.7, 1.4]))
    apart = Profile(*(one._replace(params=Split.split(one.params)) for one in start))
    # Copies draw their noise leaf by leaf: without jitter they are the same.
    dynamics = AdaptiveConicMirrorProx(3.0, 0.05, jitter=0.0, birth_interval=5, candidates=8)
    expected, got = run(dynamics, whole, start, 17)[0][-1], run(dynamics, Split(whole), apart, 17)[0][-1]
    assert float(expected.births.sum()) > 0
    torch.testing.assert_close(got.sizes, expected.sizes)
    for one, other in zip(expected.profile, got.profile, strict=True):
        torch.testing.assert_close(Split.join(other.params), one.params)
        torch.testing.assert_close(other.log_weights, one.log_weights)
