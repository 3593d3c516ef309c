"""The kind of picture that fits the strategies."""

from matplotlib.figure import Figure

from mixnash.core.games.matrix import Matrix
from mixnash.solving.pictures.curves import gap_curves, gradient_curves, simplex_curves
from mixnash.solving.pictures.plane import trajectories
from mixnash.solving.pictures.strategies import strategies, strategies_off_the_line
from mixnash.solving.readings import is_pure
from mixnash.solving.solve import Solution


def picture(solution: Solution) -> Figure:
    """Trajectories over the vector field, mixed strategies on the line or in the plane, or curves of errors."""
    problem = solution.problem
    if problem.start.finite:
        return gap_curves(solution)
    if isinstance(problem.game, Matrix):
        return simplex_curves(solution, problem.game)
    axes = {problem.game.minimiser.dim, problem.game.maximiser.dim}
    if axes == {1}:
        return trajectories(solution) if is_pure(problem.profile) else strategies(solution)
    if axes == {2} and not is_pure(problem.profile):
        return strategies_off_the_line(solution)
    return gradient_curves(solution)
