"""The linear program against every finite game with a known answer."""

import pytest

from mixnash.core.games.known_matrices import KNOWN_MATRICES
from mixnash.equilibrium.linear_program import solve_matrix_game


@pytest.mark.parametrize("known", KNOWN_MATRICES, ids=lambda one: one.name)
def test_the_linear_program_finds_the_known_value_and_proves_it(known):
    found = solve_matrix_game(known.game.matrix)
    assert found.value == pytest.approx(known.value, abs=1e-9)
    assert abs(found.gap) <= 1e-9
