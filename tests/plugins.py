"""One row of constructor arguments per plug-in class, and what contract tests need to walk through all of them."""

import importlib
import inspect
import io
import pkgutil

import pytest
import torch

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.constraints import GradientPenalty, SpectralNormalization, Unconstrained, WeightClipping
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.non_saturating import NonSaturating
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.frozen import Frozen
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.preconditioned_langevin import PreconditionedLangevin
from mixnash.core.rules.rmsprop import RMSProp
from mixnash.core.rules.sgd import SGD
from mixnash.core.schedules import Constant, Cosine, Exponential, Polynomial
from mixnash.core.tree import flatten, map_leaves, unflatten
from mixnash.networks.mlp import MLPCritic, MLPGenerator

CONSTRAINTS = {
    Unconstrained: lambda: Unconstrained(),
    WeightClipping: lambda: WeightClipping(0.3),
    GradientPenalty: lambda: GradientPenalty(3.0, 0.7),
    SpectralNormalization: lambda: SpectralNormalization(4),
}
ADVERSARIAL_GAMES = {Wasserstein: Wasserstein, Hinge: Hinge, NonSaturating: NonSaturating}
"""From a constraint to a game."""
VECTOR_GAMES = {
    Bilinear: lambda: Bilinear([[1.0, -2.0], [0.5, 3.0]], [0.3, -0.2], [1.0, 0.4]),
    Matrix: lambda: Matrix([[0.6, 0.5], [0.0, 1.0]]),
}
"""Games on R^2."""
POSITION_RULES = {
    SGD: lambda: SGD(Polynomial(0.3, 0.5)),
    Adam: lambda: Adam(0.03, 0.5, 0.8),
    RMSProp: lambda: RMSProp(0.03, 0.9),
    Langevin: lambda: Langevin(0.03, 0.2),
    PreconditionedLangevin: lambda: PreconditionedLangevin(0.03, 0.2, 0.9, 0.1),
}
WEIGHT_RULES = {Frozen: lambda: Frozen(), EntropicMirrorDescent: lambda: EntropicMirrorDescent(0.3, 0.1)}
SCHEDULES = {
    Constant: lambda: Constant(0.3),
    Exponential: lambda: Exponential(0.3, 0.9),
    Polynomial: lambda: Polynomial(0.3, 0.5, 4.0),
    Cosine: lambda: Cosine(0.3, 0.7, 10, 3),
}
RULES = PlayerRules(Adam(0.05, 0.5), EntropicMirrorDescent(0.2)), PlayerRules(Langevin(0.05, 0.1), Frozen())
DYNAMICS = {
    Simultaneous: lambda: Simultaneous(*RULES),
    Alternating: lambda: Alternating(*RULES, critic_steps=3),
    Extragradient: lambda: Extragradient(*RULES),
}
NETWORKS = {
    MLPGenerator: lambda: MLPGenerator([1, 4, 4], latent_dim=3, width=5, depth=2),
    MLPCritic: lambda: MLPCritic([1, 4, 4], width=5, depth=2, negative_slope=0.2, octaves=2, period=3.0),
}


def discover(base, package):
    """All concrete classes of the project below `base`, after importing every module of `package`."""
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
    found, rest = set(), [base]
    while rest:
        subclasses = rest.pop().__subclasses__()
        rest += subclasses
        found |= {one for one in subclasses if not inspect.isabstract(one) and one.__module__.startswith("mixnash.")}
    return sorted(found, key=lambda one: one.__name__)


def make(table, plugin, *arguments):
    """An instance of a discovered class."""
    if plugin not in table:
        pytest.fail(f"{plugin.__name__} is new: add a row with its constructor arguments to tests/plugins.py.")
    return table[plugin](*arguments)


def over(name, classes):
    """Parametrises a test over classes."""
    return pytest.mark.parametrize(name, classes, ids=lambda one: one.__name__)


def clone(tree):
    """A deep copy of a state."""
    return map_leaves(lambda _, leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf, tree)


def same(one, other):
    """Whether two states are equal bit for bit."""
    one, other = flatten(one), flatten(other)
    return one.keys() == other.keys() and all(
        torch.equal(leaf, other[name]) if isinstance(leaf, torch.Tensor) else leaf == other[name]
        for name, leaf in one.items()
    )


def saved_and_loaded(state):
    """The state after a checkpoint: flat, through a file without pickled code, into a fresh template."""
    file = io.BytesIO()
    torch.save(flatten(state), file)
    file.seek(0)
    template = map_leaves(lambda _, leaf: torch.zeros_like(leaf) if isinstance(leaf, torch.Tensor) else 0, state)
    return unflatten(template, torch.load(file, weights_only=True))
