"""The kind of picture that fits the strategies."""

from matplotlib.figure import Figure

from mixnash.solving.pictures.curves import gap_curves, gradient_curves
from mixnash.solving.pictures.plane import trajectories
from mixnash.solving.pictures.strategies import strategies
from mixnash.solving.readings import is_pure
from mixnash.solving.solve import Solution


def picture(solution: Solution) -> Figure:
    """Trajectories over the vector field, mixed strategies on the line, or curves of errors over gradient calls."""
    problem = solution.problem
    if problem.start.finite:
        return gap_curves(solution)
    on_the_line = problem.game.minimiser.dim == problem.game.maximiser.dim == 1
    if on_the_line:
        return trajectories(solution) if is_pure(problem.profile) else strategies(solution)
    return gradient_curves(solution)
