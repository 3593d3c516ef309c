"""Problems whose answers are known, small networks in double precision, and oracles that watch the dynamics."""

import itertools
from typing import NamedTuple

import torch

from mixnash.core.feedback import GameOracle, feedback
from mixnash.core.games.vectors import VECTOR, VECTOR_NETWORKS
from mixnash.core.matrix_solver import AbstractMatrixSolver
from mixnash.core.population import make_population, stack
from mixnash.core.random import stream
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.frozen import Frozen
from mixnash.core.rules.sgd import SGD
from mixnash.core.types import AbstractOracle, AugmentationDraws, Batch, NetworkFunctions, Networks, Profile
from mixnash.networks.base import functions_of, parameters_of
from mixnash.networks.mlp import MLPCritic, MLPGenerator

DOUBLE = torch.float64


def make_rng(*key):
    """A generator on the CPU that depends on the key alone."""
    return stream(torch.device("cpu"), 20240817, *key)


def normal(*shape, key=0):
    """Standard normal draws in double precision."""
    return torch.randn(shape, generator=make_rng(key, *shape), dtype=DOUBLE)


# ---------------------------------------------------------------------- matrix games


class KnownMatrixGame(NamedTuple):
    """A payoff (the row player pays) with its unique equilibrium."""

    payoff: list[list[float]]
    row: list[float]
    column: list[float]
    value: float


MATRIX_GAMES = {
    "matching pennies": KnownMatrixGame([[1.0, -1.0], [-1.0, 1.0]], [1 / 2, 1 / 2], [1 / 2, 1 / 2], 0.0),
    # The row minimises: p = (3, 2) / 5 makes both columns cost 1/5, q = (2, 3) / 5 makes both rows cost 1/5.
    "asymmetric pennies": KnownMatrixGame([[-1.0, 1.0], [2.0, -1.0]], [3 / 5, 2 / 5], [2 / 5, 3 / 5], 1 / 5),
    "biased rock-paper-scissors": KnownMatrixGame(
        [[0.0, 25.0, -50.0], [-25.0, 0.0, 5.0], [50.0, -5.0, 0.0]],
        [1 / 16, 10 / 16, 5 / 16],
        [1 / 16, 10 / 16, 5 / 16],
        0.0,
    ),
    # delta = 0.1: p = (1, d) / (1 + d), q = (1, 1 + 2 d) / (2 (1 + d)), value (1 + 2 d) / (2 (1 + d)).
    "slow last iterate": KnownMatrixGame(
        [[0.6, 0.5], [0.0, 1.0]], [1 / 1.1, 0.1 / 1.1], [1 / 2.2, 1.2 / 2.2], 1.2 / 2.2
    ),
}


def matrix_gap(row_losses, column_losses):
    """Nikaido-Isoda gap max_j (p'A)_j - min_i (A q)_i from (averaged) losses A q and -p'A."""
    return float((-column_losses).max() - row_losses.min())


class EnumeratedSupports(AbstractMatrixSolver):
    """Equilibria of small matrices: the square submatrix whose equalising strategies no deviation beats."""

    def solve(self, payoff):
        rows, columns = payoff.shape
        best = None
        for count in range(1, min(rows, columns) + 1):
            for own in itertools.combinations(range(rows), count):
                for other in itertools.combinations(range(columns), count):
                    found = self._equalise(payoff, list(own), list(other))
                    if found is not None and (best is None or found[0] < best[0] - 1e-12):
                        best = found
        return best[1], best[2]

    @staticmethod
    def _equalise(payoff, own, other):
        """The gap of the strategies on two supports that make the opponent indifferent, if there are any."""
        block, count = payoff[own][:, other], len(own)
        system = payoff.new_zeros(count + 1, count + 1)
        system[:count, :count], system[:count, -1], system[-1, :count] = block, -1, 1
        transposed = system.clone()
        transposed[:count, :count] = block.T
        right = payoff.new_zeros(count + 1)
        right[-1] = 1
        if min(float(torch.linalg.det(one).abs()) for one in (system, transposed)) < 1e-12:
            return None
        q, p = (torch.linalg.solve(one, right)[:-1] for one in (system, transposed))
        if min(float(p.min()), float(q.min())) < -1e-9:
            return None
        full_p, full_q = payoff.new_zeros(len(payoff)), payoff.new_zeros(payoff.shape[1])
        full_p[own], full_q[other] = p.clamp_min(0), q.clamp_min(0)
        return float((full_p @ payoff).max() - (payoff @ full_q).min()), full_p, full_q


# ---------------------------------------------------------------------- vectors in place of networks


def vectors(*points, weights=None):
    """A population of points of R^d in double precision."""
    log_weights = None if weights is None else torch.tensor(weights, dtype=DOUBLE).log()
    return make_population({VECTOR: torch.tensor(points, dtype=DOUBLE)}, log_weights)


def vector_batch(generators, dim):
    """The draws of a game without randomness."""
    one = torch.zeros(generators, 1, dtype=DOUBLE)
    return Batch(
        torch.zeros(1, 1, dim, dtype=DOUBLE), one.unsqueeze(-1), torch.zeros(generators, 1, dim, dtype=DOUBLE), one
    )


def vector_oracle(game, generators=1, dim=1):
    """An oracle for a game on vectors."""
    return SpyOracle(GameOracle(game, VECTOR_NETWORKS, lambda _: vector_batch(generators, dim)))


def positions(dynamics, state):
    """The positions [K, d] and [L, d] of both players of a game on vectors."""
    profile = dynamics.profile(state)
    return profile.generators.params[VECTOR], profile.critics.params[VECTOR]


class SpyOracle(AbstractOracle):
    """Records what a dynamics asks for, in order."""

    def __init__(self, oracle):
        self.oracle, self.calls, self.profiles = oracle, [], []

    def resample(self):
        self.calls.append("resample")
        self.oracle.resample()

    def feedback(self, profile, players):
        self.calls.append(players)
        self.profiles.append(profile)
        return self.oracle.feedback(profile, players)

    def linearise(self, profile):
        self.calls.append("linearise")
        return self.oracle.linearise(profile)

    def project(self, player, params):
        self.calls.append(player)
        return self.oracle.project(player, params)

    def propose(self, player, shape, rng):
        self.calls.append("propose")
        return self.oracle.propose(player, shape, rng)

    def unwrap(self, player, params, reference):
        return self.oracle.unwrap(player, params, reference)


def log(p):
    """Log-weights of probabilities."""
    return torch.tensor(p, dtype=DOUBLE).log()


def follow(rule, log_weights, losses):
    """A weight rule along a sequence of losses: where it ends, and its state."""
    state = rule.init(log_weights)
    for one in losses:
        log_weights, state = rule.update(log_weights, one, state)
    return log_weights, state


def frozen(position):
    """A player whose positions move by a rule and whose weights stay."""
    return PlayerRules(position, Frozen())


def descend(kind, step_size, **arguments):
    """A dynamics of two players that make gradient steps."""
    return kind(frozen(SGD(step_size)), frozen(SGD(step_size)), **arguments)


def run(dynamics, oracle, profile, steps, rng=None):
    """The states after 0, 1, ..., steps steps, and the feedback of each step."""
    rng = make_rng(0) if rng is None else rng
    states, seen = [dynamics.init(profile)], []
    for _ in range(steps):
        state, one = dynamics.step(states[-1], oracle, rng)
        states.append(state)
        seen.append(one)
    return states, seen


# ---------------------------------------------------------------------- GANs


class Problem(NamedTuple):
    """All that a game needs to be evaluated."""

    networks: Networks
    profile: Profile
    batch: Batch


def gan_batch(generators, event, real=11, latents=5, latent_dim=3):
    """Draws with B = `real` different from K b."""
    latent = normal(generators, latents, latent_dim, key=1)
    anchor = normal(generators, latents, *event, key=2)
    mix = torch.rand(generators, latents, generator=make_rng(3), dtype=DOUBLE)
    return Batch(normal(1, real, *event, key=4), latent, anchor, mix)


def _tanh_network(squeeze, event):
    def apply(params, inputs):
        flat = inputs.flatten(-len(event)) if squeeze else inputs
        hidden = torch.tanh(
            torch.einsum("...ni,...oi->...no", flat, params["a.weight"]) + params["a.bias"].unsqueeze(-2)
        )
        out = torch.einsum("...ni,...oi->...no", hidden, params["b.weight"]) + params["b.bias"].unsqueeze(-2)
        return out.squeeze(-1) if squeeze else out.unflatten(-1, event)

    return NetworkFunctions(apply, apply)


def _tanh_params(count, inputs, outputs, key):
    shapes = {"a.weight": (6, inputs), "a.bias": (6,), "b.weight": (outputs, 6), "b.bias": (outputs,)}
    return {name: normal(count, *shape, key=key + i) for i, (name, shape) in enumerate(shapes.items())}


def tanh_problem(generators=3, critics=4, event=(2,), packing=1):
    """Smooth networks of one hidden layer, written here: for finite differences. Critics may take packs of samples."""
    size, seen = torch.Size(event).numel(), event if packing == 1 else (packing, *event)
    profile = Profile(
        make_population(_tanh_params(generators, 3, size, 10), normal(generators, key=5)),
        make_population(_tanh_params(critics, packing * size, 1, 20), normal(critics, key=6)),
    )
    networks = Networks(_tanh_network(False, event), _tanh_network(True, seen))
    return Problem(networks, profile, gan_batch(generators, event))


def mlp_problem(generators=3, critics=4, event=(2,)):
    """The project's MLPs with unequal weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        generator = [MLPGenerator(event, latent_dim=3, width=7, depth=2).double() for _ in range(generators)]
        critic = [MLPCritic(event, width=6, depth=2, negative_slope=0.2).double() for _ in range(critics)]
    profile = Profile(
        make_population(stack([parameters_of(one) for one in generator]), normal(generators, key=5)),
        make_population(stack([parameters_of(one) for one in critic]), normal(critics, key=6)),
    )
    return Problem(Networks(functions_of(generator[0]), functions_of(critic[0])), profile, gan_batch(generators, event))


def augmented_problem(generators=3, critics=4, event=(2, 4, 4), draws=3, packing=1):
    """Smooth networks on images, with draws for their augmentation."""
    problem = tanh_problem(generators, critics, event, packing)
    uniforms = [
        torch.rand(*one.shape[:2], draws, generator=make_rng(key), dtype=DOUBLE)
        for key, one in enumerate((problem.batch.real, problem.batch.latent, problem.batch.anchor))
    ]
    return problem._replace(batch=problem.batch._replace(augmentation=AugmentationDraws(*uniforms)))


def gan_oracle(problem, game, evaluate=feedback):
    """An oracle that always gives the problem's batch."""
    return SpyOracle(GameOracle(game, problem.networks, lambda _: problem.batch, evaluate=evaluate))


def assert_same_feedback(got, expected):
    """All parts are equal to 1e-12, and those that nobody asked for are missing in both."""
    for name, part in expected._asdict().items():
        if part is None:
            assert getattr(got, name) is None, name
        else:
            torch.testing.assert_close(getattr(got, name), part, rtol=0, atol=1e-12)
