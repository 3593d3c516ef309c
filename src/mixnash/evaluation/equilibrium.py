"""How far a run's mixtures are from equilibrium: `evaluate.py --equilibrium`."""

from typing import NamedTuple

from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.population import weights
from mixnash.equilibrium.duality_gap import DualityGap, Estimate, marks_of, require_bounded
from mixnash.evaluation.load import LoadedRun
from mixnash.evaluation.options import SearchOptions
from mixnash.lit.deviations import SearchPlan, measure_gap


def check_equilibrium(run: LoadedRun, options: SearchOptions) -> None:
    """Refuse what cannot be searched, before other work starts.

    Raises:
        InvalidInputError: when the critics can win without bound, or an option is below 1.
    """
    require(options.budget >= 1, f"--budget must be at least 1 update, found {options.budget}.")
    require(options.starts >= 1, f"--starts must be at least 1 of each kind, found {options.starts}.")
    require_bounded(run.module.game)


class Equilibrium(NamedTuple):
    """What the search found, and how hard it searched."""

    found: DualityGap
    options: SearchOptions
    weights: tuple[Tensor, Tensor]
    """Probabilities of the generators [K] and of the critics [L]."""

    def record(self) -> dict[str, int | float]:
        """The numbers by their names in metrics.json."""
        found, options = self.found, self.options
        return {
            "gap_lower_bound": found.gap.value,
            "gap_low": found.gap.low,
            "gap_high": found.gap.high,
            **_estimate("gap_at_k", found.at(options.budget)),
            **_estimate("gap_generators", found.generators),
            **_estimate("gap_critics", found.critics),
            "gap_restricted": found.restricted,
            **_estimate("gap_value", found.value),
            "gap_lp_value": found.solution.value,
            "gap_budget": options.budget,
            "gap_starts": options.starts,
        }


def evaluate_equilibrium(run: LoadedRun, options: SearchOptions, seed: int, averaged: bool) -> Equilibrium:
    """A lower bound of the duality gap by a search of k and of 4 k updates.

    Args:
        run: what to evaluate.
        options: the effort.
        seed: of the draws and of the fresh networks.
        averaged: whether to take the moving average of the generators' positions.

    Raises:
        InvalidInputError: as `check_equilibrium`.
    """
    check_equilibrium(run, options)
    plan = SearchPlan(marks_of(options.budget), options.starts)
    found = measure_gap(run.module, run.data, plan, seed, run.step, averaged)
    generators, critics = run.module.profile(averaged)
    return Equilibrium(found, options, (weights(generators), weights(critics)))


def _estimate(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
