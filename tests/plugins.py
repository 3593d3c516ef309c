"""One row of constructor arguments per plug-in class, and what contract tests need to walk through all of them."""

import importlib
import inspect
import io
import pkgutil

import pytest
import torch

from mixnash.core.augmentations.colour import Colour
from mixnash.core.augmentations.composed import Composed
from mixnash.core.augmentations.cutout import Cutout
from mixnash.core.augmentations.translation import Translation
from mixnash.core.dynamics.adaptive_conic_mirror_prox import AdaptiveConicMirrorProx
from mixnash.core.dynamics.adaptive_extragradient_plus import AdaptiveExtragradientPlus
from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.bias_corrected_extragradient_plus import BiasCorrectedExtragradientPlus
from mixnash.core.dynamics.birth_death import BirthDeath
from mixnash.core.dynamics.competitive import Competitive
from mixnash.core.dynamics.conic_mirror_prox import ConicMirrorProx
from mixnash.core.dynamics.consensus import Consensus
from mixnash.core.dynamics.curvature_extragradient_plus import CurvatureExtragradientPlus
from mixnash.core.dynamics.double_oracle import DoubleOracle
from mixnash.core.dynamics.exact_weights import ExactWeights
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.extragradient_plus import ExtragradientPlus
from mixnash.core.dynamics.lookahead import Lookahead
from mixnash.core.dynamics.mirror_langevin import MirrorLangevin
from mixnash.core.dynamics.mirror_prox_langevin import MirrorProxLangevin
from mixnash.core.dynamics.opponent_averaging import OpponentAveraging
from mixnash.core.dynamics.optimistic import Optimistic
from mixnash.core.dynamics.past_extragradient import PastExtragradient
from mixnash.core.dynamics.proximal_point import ProximalPoint
from mixnash.core.dynamics.reflected import Reflected
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.dynamics.snapshot_play import SnapshotPlay
from mixnash.core.games.absolute_distance import AbsoluteDistance
from mixnash.core.games.almost_bilinear import AlmostBilinear
from mixnash.core.games.augmented import AugmentedGame
from mixnash.core.games.bell_gaussian import BellGaussian
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.chase_cosine import ChaseCosine
from mixnash.core.games.constraints import (
    GradientPenalty,
    LazyPenalty,
    LipschitzByConstruction,
    SpectralNormalization,
    Unconstrained,
    WeightClipping,
    ZeroCentredPenalty,
)
from mixnash.core.games.double_well import DoubleWell
from mixnash.core.games.exponential_cosine import ExponentialCosine
from mixnash.core.games.forsaken import Forsaken
from mixnash.core.games.forsaken_swapped import ForsakenSwapped
from mixnash.core.games.fourier import FourierGame
from mixnash.core.games.fourier_counterexample import FourierCounterexample
from mixnash.core.games.global_forsaken import GlobalForsaken
from mixnash.core.games.gross_rational import GrossRational
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.letcher import Letcher
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.monkey_saddle import MonkeySaddle
from mixnash.core.games.non_saturating import NonSaturating
from mixnash.core.games.packed import PackedGame
from mixnash.core.games.parrilo import Parrilo
from mixnash.core.games.polar import PolarGame
from mixnash.core.games.polynomial import PolynomialGame
from mixnash.core.games.ratio import Ratio
from mixnash.core.games.relativistic import Relativistic
from mixnash.core.games.saddle_quadratic import SaddleQuadratic
from mixnash.core.games.separable_wells import SeparableWells
from mixnash.core.games.silent_duel import SilentDuel
from mixnash.core.games.squared_distance import SquaredDistance
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.games.weak_minty_quadratic import WeakMintyQuadratic
from mixnash.core.games.weird_saddle import WeirdSaddle
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.rules.fictitious_play import FictitiousPlay
from mixnash.core.rules.frozen import Frozen
from mixnash.core.rules.langevin import Langevin
from mixnash.core.rules.momentum import Momentum
from mixnash.core.rules.optimistic_adam import OptimisticAdam
from mixnash.core.rules.per_particle import PerParticle
from mixnash.core.rules.preconditioned_langevin import PreconditionedLangevin
from mixnash.core.rules.rmsprop import RMSProp
from mixnash.core.rules.sgd import SGD
from mixnash.core.rules.softmax_descent import SoftmaxDescent
from mixnash.core.rules.still import Still
from mixnash.core.rules.stochastic_gradient_hmc import StochasticGradientHMC
from mixnash.core.schedules import Constant, Cosine, Exponential, Growth, Linear, Polynomial, Scaled
from mixnash.core.tree import flatten, map_leaves, unflatten
from mixnash.core.types import Player
from mixnash.networks.dcgan import DCGANCritic, DCGANGenerator
from mixnash.networks.distilled import DistilledGenerator
from mixnash.networks.lipschitz import LipschitzConvolutionalCritic, LipschitzMLPCritic
from mixnash.networks.mlp import MLPCritic, MLPGenerator
from mixnash.networks.r3gan import R3GANCritic, R3GANGenerator
from mixnash.networks.resnet import ResNetCritic, ResNetGenerator
from problems import EnumeratedSupports

CONSTRAINTS = {
    Unconstrained: lambda: Unconstrained(),
    LipschitzByConstruction: lambda: LipschitzByConstruction(),
    WeightClipping: lambda: WeightClipping(0.3),
    GradientPenalty: lambda: GradientPenalty(3.0, 0.7),
    SpectralNormalization: lambda: SpectralNormalization(4),
    ZeroCentredPenalty: lambda: ZeroCentredPenalty(1.5, 0.7),
    LazyPenalty: lambda: LazyPenalty(GradientPenalty(2.0, 0.3), 4),
}
ADVERSARIAL_GAMES = {Wasserstein: Wasserstein, Hinge: Hinge, NonSaturating: NonSaturating, Relativistic: Relativistic}
PACKED_GAMES = {PackedGame: lambda: PackedGame(NonSaturating(GradientPenalty(2.0, 0.4)), 2)}
"""From a constraint to a game."""
AUGMENTATIONS = {
    Colour: lambda: Colour(),
    Composed: lambda: Composed([Colour(), Translation(0.3), Cutout(0.4)]),
    Cutout: lambda: Cutout(0.4, 0.3),
    Translation: lambda: Translation(0.3, -0.7),
}
AUGMENTED_GAMES = {AugmentedGame: lambda: AugmentedGame(NonSaturating(GradientPenalty(2.0, 0.4)), Colour())}
VECTOR_GAMES = {
    Bilinear: lambda: Bilinear([[1.0, -2.0], [0.5, 3.0]], [0.3, -0.2], [1.0, 0.4]),
    Matrix: lambda: Matrix([[0.6, 0.5], [0.0, 1.0]]),
    AbsoluteDistance: lambda: AbsoluteDistance(),
    AlmostBilinear: lambda: AlmostBilinear(0.2, Player.GENERATOR),
    BellGaussian: lambda: BellGaussian(1.3),
    ChaseCosine: lambda: ChaseCosine(),
    DoubleWell: lambda: DoubleWell(1.5, 0.7),
    ExponentialCosine: lambda: ExponentialCosine(1.3),
    Forsaken: lambda: Forsaken(0.4),
    ForsakenSwapped: lambda: ForsakenSwapped(0.4),
    FourierCounterexample: lambda: FourierCounterexample(),
    FourierGame: lambda: FourierGame.random(2, 7),
    GlobalForsaken: lambda: GlobalForsaken(),
    GrossRational: lambda: GrossRational(),
    Letcher: lambda: Letcher(),
    MonkeySaddle: lambda: MonkeySaddle(),
    Parrilo: lambda: Parrilo(),
    PolarGame: lambda: PolarGame(0.7),
    PolynomialGame: lambda: PolynomialGame([[0.1, -0.4, 0.5], [1.0, -2.0, 0.3], [0.2, 0.6, -0.7], [0.3, 0.0, 0.9]]),
    Ratio: lambda: Ratio([[-0.6, -0.3, 0.2], [0.6, -0.3, 0.1]], [[0.9, 0.5, 0.7], [0.8, 0.4, 0.6]]),
    SaddleQuadratic: lambda: SaddleQuadratic(0.6),
    SeparableWells: lambda: SeparableWells(
        [[1.0, 0.3, 0.2], [-0.2, 0.8, 0.5]], [[0.5, 0.1], [-0.4, 0.7]], [1.0, 3.0], [[0.2, 0.4, -0.1]], [2.0]
    ),
    SilentDuel: lambda: SilentDuel(),
    SquaredDistance: lambda: SquaredDistance(3),
    WeakMintyQuadratic: lambda: WeakMintyQuadratic(2.0, 0.3),
    WeirdSaddle: lambda: WeirdSaddle(),
}
FALLING = Polynomial(0.3, 0.5)
POSITION_RULES = {
    SGD: lambda step=FALLING: SGD(step),
    Still: lambda: Still(),
    Momentum: lambda step=0.03: Momentum(step, -0.4),
    Adam: lambda step=0.03: Adam(step, 0.5, 0.8),
    OptimisticAdam: lambda step=0.03: OptimisticAdam(step, 0.5, 0.8),
    RMSProp: lambda step=0.03: RMSProp(step, 0.9),
    Langevin: lambda step=0.03: Langevin(step, 0.2),
    PreconditionedLangevin: lambda step=0.03: PreconditionedLangevin(step, 0.2, 0.9, 0.1),
    PerParticle: lambda step=0.03: PerParticle(Adam(step, 0.5, 0.8), 0.5, 2.0),
    StochasticGradientHMC: lambda step=0.03: StochasticGradientHMC(step, 0.4, 0.2, 0.7),
}
"""Those with a step size take another one, a number or a schedule."""
WEIGHT_RULES = {
    Frozen: lambda: Frozen(),
    EntropicMirrorDescent: lambda step=0.3: EntropicMirrorDescent(step, 0.1),
    FictitiousPlay: lambda: FictitiousPlay(2.5),
    SoftmaxDescent: lambda step=0.1: SoftmaxDescent(Adam(step, 0.5), 0.1),
}
"""Likewise."""
SCHEDULES = {
    Constant: lambda: Constant(0.3),
    Exponential: lambda: Exponential(0.3, 0.9),
    Polynomial: lambda: Polynomial(0.3, 0.5, 4.0),
    Cosine: lambda: Cosine(0.3, 0.7, 10, 3),
    Linear: lambda: Linear(0.3, 0.7, 10, 3),
    Scaled: lambda: Scaled(Cosine(0.6, 1.4, 10, 3), 0.5),
    Growth: lambda: Growth(1.0, 1.1, 7.0),
}
RULES = PlayerRules(Adam(0.05, 0.5), EntropicMirrorDescent(0.2)), PlayerRules(Langevin(0.05, 0.1), Frozen())
DYNAMICS = {
    Simultaneous: lambda rules=RULES: Simultaneous(*rules),
    Alternating: lambda rules=RULES: Alternating(*rules, critic_steps=3),
    Extragradient: lambda rules=RULES: Extragradient(*rules),
    BirthDeath: lambda rules=RULES: BirthDeath(Optimistic(*rules), 2, 0.15, merge_radius=8.0, jitter=2.0),
    ExactWeights: lambda rules=RULES: ExactWeights(Alternating(*rules), EnumeratedSupports(), 1, 2, 0.6, 2),
    Lookahead: lambda rules=RULES: Lookahead(Extragradient(*rules), 2, 0.3),
    Optimistic: lambda rules=RULES: Optimistic(*rules, optimism=0.7),
    PastExtragradient: lambda rules=RULES: PastExtragradient(*rules),
    ProximalPoint: lambda rules=RULES: ProximalPoint(*rules, max_iterations=6),
    Reflected: lambda rules=RULES: Reflected(*rules),
    AdaptiveConicMirrorProx: lambda: AdaptiveConicMirrorProx(birth_interval=2, candidates=6),
    ConicMirrorProx: lambda rules=RULES: ConicMirrorProx(*rules, sweeps=3),
    OpponentAveraging: lambda rules=RULES: OpponentAveraging(*rules, replacement=Polynomial(1.0, 1.0), capacity=4),
    SnapshotPlay: lambda rules=RULES: SnapshotPlay(*rules, 3, 2, generator_steps=2, critic_steps=3, sampled=1),
    MirrorLangevin: lambda rules=RULES: MirrorLangevin(*rules, 3, 0.5, 0.7, co_evolving=False),
    MirrorProxLangevin: lambda rules=RULES: MirrorProxLangevin(*rules, 3, 0.5, 0.7),
    DoubleOracle: lambda rules=RULES: DoubleOracle(rules[0].position, rules[1].position, EnumeratedSupports(), 3, 0.1),
    ExtragradientPlus: lambda: ExtragradientPlus(Polynomial(0.05, 0.5), 0.4),
    AdaptiveExtragradientPlus: lambda: AdaptiveExtragradientPlus(0.05, -0.3, 1.2),
    CurvatureExtragradientPlus: lambda: CurvatureExtragradientPlus(-0.3, 1.2, power_iterations=3),
    BiasCorrectedExtragradientPlus: lambda: BiasCorrectedExtragradientPlus(0.05, Polynomial(0.5, 1.0, 4.0)),
    Consensus: lambda: Consensus(0.05, 0.3),
    Competitive: lambda: Competitive(0.05, 1e-6),
}
"""Those that move by rules take others in their place."""
EVENT = [1, 8, 8]
"""The shape of the samples of these networks."""
NETWORKS = {
    DistilledGenerator: lambda: DistilledGenerator(EVENT, latent_dim=3, bins=4, width=5, depth=2, bridges=0.4),
    MLPGenerator: lambda: MLPGenerator(EVENT, latent_dim=3, width=5, depth=2, octaves=2, period=6.0),
    MLPCritic: lambda: MLPCritic(EVENT, width=5, depth=2, negative_slope=0.2, octaves=2, period=3.0),
    DCGANGenerator: lambda: DCGANGenerator(EVENT, latent_dim=3, width=6),
    DCGANCritic: lambda: DCGANCritic(EVENT, width=5),
    ResNetGenerator: lambda: ResNetGenerator(EVENT, latent_dim=3, width=6, growth=2),
    ResNetCritic: lambda: ResNetCritic(EVENT, width=6, blocks=1),
    R3GANGenerator: lambda: R3GANGenerator(EVENT, latent_dim=3, width=4, blocks=1, growth=2, group_width=2),
    R3GANCritic: lambda: R3GANCritic(EVENT, width=4, blocks=1, growth=2, group_width=2),
    LipschitzMLPCritic: lambda: LipschitzMLPCritic(EVENT, width=6, depth=2, iterations=5),
    LipschitzConvolutionalCritic: lambda: LipschitzConvolutionalCritic(EVENT, width=6, kernel=4, iterations=5),
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
