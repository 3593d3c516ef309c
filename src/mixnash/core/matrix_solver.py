"""What dynamics call to solve the finite game between their particles exactly; `equilibrium` brings the solver."""

import abc

from jaxtyping import Float
from torch import Tensor


class AbstractMatrixSolver(abc.ABC):
    """Finds an equilibrium of a finite zero-sum game."""

    @abc.abstractmethod
    def solve(self, payoff: Float[Tensor, "K L"]) -> tuple[Float[Tensor, " K"], Float[Tensor, " L"]]:
        """Optimal probabilities of the row player, who minimises, and of the column player, of the payoff's dtype."""
