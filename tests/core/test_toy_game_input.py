"""Where games on vectors live, and what their constructors refuse."""

import math

import pytest
import torch

from mixnash.core.domains import Ball, Box, Euclidean, Torus
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.almost_bilinear import AlmostBilinear
from mixnash.core.games.bell_gaussian import BellGaussian
from mixnash.core.games.double_well import DoubleWell
from mixnash.core.games.exponential_cosine import ExponentialCosine
from mixnash.core.games.forsaken import Forsaken
from mixnash.core.games.forsaken_swapped import ForsakenSwapped
from mixnash.core.games.fourier import FourierGame
from mixnash.core.games.gross_rational import GrossRational
from mixnash.core.games.letcher import Letcher
from mixnash.core.games.matrices import colonel_blotto, nemirovski, random_matrix, slow_last_iterate
from mixnash.core.games.matrix import Matrix
from mixnash.core.games.polar import PolarGame
from mixnash.core.games.polynomial import PolynomialGame
from mixnash.core.games.ratio import Ratio
from mixnash.core.games.saddle_quadratic import SaddleQuadratic
from mixnash.core.games.separable_wells import SeparableWells
from mixnash.core.games.squared_distance import SquaredDistance
from mixnash.core.games.weak_minty_quadratic import WeakMintyQuadratic
from problems import normal

# ---------------------------------------------------------------------- domains and bad input


def test_games_live_on_the_line_on_their_known_set_or_where_they_are_told():
    assert isinstance(Forsaken().minimiser, Euclidean)
    assert isinstance(FourierGame.random(1, 0).maximiser, Torus)
    assert GrossRational().minimiser.contains(torch.tensor([[-0.1], [0.1]])).tolist() == [False, True]
    assert isinstance(SquaredDistance(2).maximiser, Ball)
    box = Box([-1.2], [1.05])
    game = Forsaken(0.45, box)
    assert game.minimiser is box
    assert isinstance(game.maximiser, Euclidean)


def plane():
    return Euclidean(2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Forsaken(math.nan), "offset of a game must be finite, found nan"),
        (lambda: ForsakenSwapped(math.inf), "offset of a game must be finite, found inf"),
        (lambda: SaddleQuadratic(math.inf), "interaction of a game must be finite"),
        (lambda: AlmostBilinear(0.0), "between 0 and 2, found 0.0"),
        (lambda: AlmostBilinear(2.0), "between 0 and 2, found 2.0"),
        (lambda: DoubleWell(0.0), "coupling that is not 0"),
        (lambda: DoubleWell(math.nan), "strength of a game must be finite"),
        (lambda: DoubleWell(1.0, -1.0), "positive height, found -1.0"),
        (lambda: PolarGame(0.0), "polar game must be positive and finite, found 0.0"),
        (lambda: WeakMintyQuadratic(-1.0), "Lipschitz constant .* positive and finite, found -1.0"),
        (lambda: WeakMintyQuadratic(1.0, 1.0), "at least 0 and below 1, found 1.0"),
        (lambda: BellGaussian(0.0), "rate of a bell-shaped game must be positive and finite, found 0.0"),
        (lambda: ExponentialCosine(math.inf), "sharpness of an exponential cosine must be positive and finite"),
        (lambda: SquaredDistance(0), "at least one coordinate, found 0"),
        (lambda: SquaredDistance(3, plane()), "minimiser have 3 coordinates, but its domain has 2"),
        (lambda: Letcher(None, plane()), "maximiser have 1 coordinates, but its domain has 2"),
        (lambda: PolynomialGame([]), "rows of one positive length"),
        (lambda: PolynomialGame([[1.0], [1.0, 2.0]]), "rows of one positive length"),
        (lambda: PolynomialGame([[math.nan]]), "must be finite"),
        (lambda: FourierGame([[1.0, 2.0]], [[1.0, 2.0]]), r"odd N, found \(1, 2\)"),
        (lambda: FourierGame(normal(2, 2), normal(2, 2)), r"odd N, found \(2, 2\)"),
        (lambda: FourierGame(normal(3, 3), normal(5, 5)), r"found \(3, 3\) and \(5, 5\)"),
        (lambda: FourierGame([[math.inf]], [[0.0]]), "must be finite"),
        (lambda: FourierGame.random(-1, 0), "at least 0, found -1"),
        (lambda: Ratio([[1.0]], [[1.0, 2.0]]), "one shape"),
        (lambda: Ratio([], []), "one shape"),
        (lambda: Ratio([[1.0]], [[0.0]]), "denominator of a ratio game must be positive"),
        (lambda: Ratio([[math.nan]], [[1.0]]), "must be finite"),
        (lambda: nemirovski(1), "at least 2 strategies, found 1"),
        (lambda: slow_last_iterate(0.5), "between 0 and 1/2, found 0.5"),
        (lambda: colonel_blotto(-1, 2, 3), "armies of at least 0 soldiers, found 3 fields, -1 and 2"),
        (lambda: random_matrix(0, 2, 3), "at least one strategy, found 0 and 2"),
        (lambda: Matrix([[1.0], []]), "rows of one positive length"),
        (lambda: Matrix([[math.inf]]), "must be finite"),
    ],
)
def test_a_game_refuses_impossible_numbers(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"matrix": [[1.0], [1.0, 2.0]]}, "matrix of a game of wells needs rows of one positive length"),
        ({"matrix": [[math.nan, 1.0]]}, "matrix of a game of wells must be finite"),
        ({"minimiser_wells": []}, "minimiser's table of wells .* needs rows"),
        ({"minimiser_wells": [[1.0, 2.0]]}, "wells of the minimiser need 1 coordinates as the matrix, found 2"),
        ({"maximiser_weights": [1.0, 2.0]}, "maximiser needs one weight per well: 1 wells, 2 weights"),
        ({"minimiser_weights": [0.0]}, "weights of the minimiser's wells must be positive"),
        ({"minimiser_domain": Box([-0.1], [0.1])}, "well of the minimiser lies outside its domain"),
        ({"maximiser_domain": Euclidean(3)}, "maximiser have 2 coordinates, but its domain has 3"),
    ],
)
def test_a_game_of_wells_refuses_what_does_not_fit(change, message):
    arguments = {
        "matrix": [[1.0, 2.0]],
        "minimiser_wells": [[0.5]],
        "minimiser_weights": [1.0],
        "maximiser_wells": [[0.5, 0.1]],
        "maximiser_weights": [1.0],
    }
    SeparableWells(**arguments)
    with pytest.raises(InvalidInputError, match=message):
        SeparableWells(**(arguments | change))
