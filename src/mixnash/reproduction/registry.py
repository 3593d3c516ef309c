"""All reproductions by name."""

from collections.abc import Mapping
from types import MappingProxyType

from mixnash.reproduction.ablation import Ablation
from mixnash.reproduction.base import AbstractReproduction
from mixnash.reproduction.bilinear_trajectories import BilinearTrajectories
from mixnash.reproduction.cifar10_mixture import CIFAR10Mixture
from mixnash.reproduction.convergence_rates import ConvergenceRates
from mixnash.reproduction.duality_gap_ranking import DualityGapRanking
from mixnash.reproduction.escaping_traps import EscapingTraps
from mixnash.reproduction.gaussians25_budget import Gaussians25Budget
from mixnash.reproduction.gaussians25_panel import Gaussians25Panel
from mixnash.reproduction.gaussians25_perfect import Gaussians25Perfect
from mixnash.reproduction.mixed_equilibria import MixedEquilibria
from mixnash.reproduction.mixed_rates import MixedRates
from mixnash.reproduction.mnist_mixture import MNISTMixture
from mixnash.reproduction.outcome_matrix import OutcomeMatrix
from mixnash.reproduction.particle_games import ParticleGames
from mixnash.reproduction.saddles import Saddles
from mixnash.reproduction.spurious_attractors import SpuriousAttractors
from mixnash.reproduction.stacked_mnist import StackedMNISTModes
from mixnash.reproduction.weak_minty import WeakMinty

REPRODUCTIONS: Mapping[str, AbstractReproduction] = MappingProxyType(
    {
        "bilinear-trajectories": BilinearTrajectories(),
        "convergence-rates": ConvergenceRates(),
        "saddles": Saddles(),
        "spurious-attractors": SpuriousAttractors(),
        "weak-minty": WeakMinty(),
        "outcome-matrix": OutcomeMatrix(),
        "escaping-traps": EscapingTraps(),
        "mixed-rates": MixedRates(),
        "mixed-equilibria": MixedEquilibria(),
        "particle-games": ParticleGames(),
        "gaussians25-panel": Gaussians25Panel(),
        "gaussians25-budget": Gaussians25Budget(),
        "gaussians25-perfect": Gaussians25Perfect(),
        "ablation": Ablation(),
        "duality-gap-ranking": DualityGapRanking(),
        "stacked-mnist": StackedMNISTModes(),
        "mnist-mixture": MNISTMixture(),
        "cifar10-mixture": CIFAR10Mixture(),
    }
)
"""In the order of `--all`."""
