"""Games whose value and equilibria are known: the answers that solvers, tests and documents compare with."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from mixnash.core.domains import Box
from mixnash.core.games.absolute_distance import AbsoluteDistance
from mixnash.core.games.almost_bilinear import AlmostBilinear
from mixnash.core.games.bell_gaussian import BellGaussian
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.chase_cosine import ChaseCosine
from mixnash.core.games.exponential_cosine import ExponentialCosine
from mixnash.core.games.forsaken import Forsaken
from mixnash.core.games.forsaken_swapped import ForsakenSwapped
from mixnash.core.games.fourier import FourierGame
from mixnash.core.games.fourier_counterexample import FourierCounterexample
from mixnash.core.games.global_forsaken import GlobalForsaken
from mixnash.core.games.gross_rational import GrossRational
from mixnash.core.games.letcher import Letcher
from mixnash.core.games.monkey_saddle import MonkeySaddle
from mixnash.core.games.parrilo import Parrilo
from mixnash.core.games.ratio import Ratio
from mixnash.core.games.recorded_normals import NUMPY_NORMALS
from mixnash.core.games.separable_wells import SeparableWells
from mixnash.core.games.silent_duel import SilentDuel
from mixnash.core.games.squared_distance import SquaredDistance
from mixnash.core.games.vectors import VECTOR, AbstractVectorGame
from mixnash.core.games.weak_minty_quadratic import WeakMintyQuadratic
from mixnash.core.games.weird_saddle import WeirdSaddle
from mixnash.core.population import make_population
from mixnash.core.types import Player, Population

Quantile: TypeAlias = Callable[[Tensor], Tensor]
"""From levels in [0, 1] to the points of a law on the line."""


class KnownGame(NamedTuple):
    """A continuous game with its answer."""

    name: str
    """As in the reports."""
    game: AbstractVectorGame
    """With the bounded domains that the answer belongs to."""
    value: float
    """Of the mixed extension."""
    minimiser: Population | None
    """Optimal atoms; None where the optimal law has none."""
    maximiser: Population | None
    """Optimal atoms; None where the optimal law has none."""
    minimiser_unique: bool = False
    """Whether it is known that the minimiser has no other optimal law."""
    maximiser_unique: bool = False
    """Whether it is known that the maximiser has no other optimal law."""
    quantile: Quantile | None = None
    """The quantile function of the optimal law of both players, where it has no atoms."""


def _box(radius: float) -> Box:
    return Box([-radius], [radius])


def _atoms(points: Sequence[float | Sequence[float]], weights: Sequence[float] | None = None) -> Population:
    """A population of points of the line, or of a space."""
    rows = torch.tensor(points, dtype=torch.float64).reshape(len(points), -1)
    log_weights = None if weights is None else torch.tensor(weights, dtype=torch.float64).log()
    return make_population({VECTOR: rows}, log_weights)


_ZERO = _atoms([0.0])
_ENDS = _atoms([-1.0, 1.0])


def _distances() -> tuple[KnownGame, ...]:
    unit = Box([0.0], [1.0])
    halves = _atoms([0.5]), _atoms([0.0, 1.0])
    disc = _atoms([[0.0, 0.0]]), _atoms([[0.6, 0.8], [-0.6, -0.8]])
    return (
        KnownGame("guess_location", SquaredDistance(), 1.0, _ZERO, _ENDS, True, True),
        KnownGame("guess_location_unit", SquaredDistance(1, unit, unit), 0.25, *halves, True, True),
        KnownGame("guess_location_disc2d", SquaredDistance(2), 1.0, *disc, True, False),
        KnownGame("abs_distance", AbsoluteDistance(), 1.0, _ZERO, _ENDS, False, True),
    )


def _polynomials() -> tuple[KnownGame, ...]:
    one, two = (_box(1.0),) * 2, (_box(2.0),) * 2
    monkey = _atoms([-1.0, 0.5], [1 / 3, 2 / 3]), _atoms([-0.5, 0.5])
    bilinear = Bilinear([[1.0]], None, None, *one)
    epsilon = 0.1
    almost_x = AlmostBilinear(epsilon, Player.GENERATOR, *two)
    almost_y = AlmostBilinear(epsilon, Player.CRITIC, *two)
    return (
        KnownGame("bilinear_box", bilinear, 0.0, _ZERO, _ZERO),
        KnownGame("parrilo_mixed", Parrilo(), -12 / 25, _atoms([-1.0, 1.0], [0.22, 0.78]), _atoms([0.2])),
        KnownGame("weird_saddle", WeirdSaddle(*two), 0.0, _ZERO, _ZERO, False, True),
        KnownGame("monkey_saddle_box", MonkeySaddle(*one), -1 / 4, *monkey, True, False),
        KnownGame("almost_bilinear_x", almost_x, -2 * epsilon, _atoms([-2.0, 2.0]), _ZERO, True, False),
        KnownGame("almost_bilinear_y", almost_y, epsilon / 4, _ZERO, _ENDS, False, True),
    )


def _wells() -> tuple[KnownGame, ...]:
    box, four_thirds, corner = (_box(1.5),) * 2, (_box(4 / 3),) * 2, (_box(1.1),) * 2
    outer, inner = math.sqrt(1 + math.sqrt(2) / 2), math.sqrt(1 - math.sqrt(2) / 2)
    forsaken = _atoms([-outer, outer]), _atoms([-outer, outer], [(1 - 0.45 / outer) / 2, (1 + 0.45 / outer) / 2])
    swapped = _atoms([-inner, inner], [(1 - 0.5 / inner) / 2, (1 + 0.5 / inner) / 2]), _atoms([-inner, inner])
    corners = (_atoms([-1.1, 1.1]),) * 2
    quadratic = WeakMintyQuadratic(3.0, 1 / 3, *corner)
    planar = SeparableWells(
        [[1.0, 0.3], [-0.2, 0.8]],
        _triangle(0.8, 0.0),
        [0.5, 0.3, 0.2],
        _triangle(0.7, 0.4),
        [0.2, 0.2, 0.6],
        *(Box([-1.0, -1.0], [1.0, 1.0]),) * 2,
    )
    return (
        KnownGame("forsaken_hsieh", Forsaken(0.45, *box), 0.0, *forsaken, True, True),
        KnownGame("forsaken_swapped", ForsakenSwapped(0.5, *box), 0.0, *swapped, True, True),
        KnownGame("global_forsaken", GlobalForsaken(*four_thirds), 0.0, _ZERO, _ZERO, True, True),
        KnownGame("letcher", Letcher(*box), 0.0, _ENDS, _ENDS, True, True),
        KnownGame("quadratic_weak_minty_box", quadratic, 0.0, *corners, True, True),
        KnownGame("wells_2d", planar, 0.0, *planar.equilibrium, True, True),
    )


def _triangle(radius: float, angle: float) -> list[list[float]]:
    turns = [angle + 2 * math.pi * k / 3 for k in range(3)]
    return [[radius * math.cos(turn), radius * math.sin(turn)] for turn in turns]


def _bells() -> tuple[KnownGame, ...]:
    """Rates 1 and 2: a double oracle polished by Newton's method on the conditions of optimality."""
    three, near, far = [-1.0, 0.0, 1.0], 0.7314820546987486, 0.8287272270765386
    rate_1 = _atoms(three, [0.4456128879379698, 0.1087742241240604, 0.4456128879379698]), _atoms([-far, far])
    rate_2 = (
        _atoms(three, [0.343709872290732, 0.312580255418536, 0.343709872290732]),
        _atoms([-near, 0.0, near], [0.4523244665814918, 0.0953510668370164, 0.4523244665814918]),
    )
    return (
        KnownGame("bell_gauss_0p5", BellGaussian(0.5), math.exp(-0.5), _ENDS, _ZERO, True, True),
        KnownGame("bell_gauss_1", BellGaussian(1.0), 0.5031893104839429, *rate_1, True, True),
        KnownGame("bell_gauss_2", BellGaussian(2.0), 0.4056124012539084, *rate_2, True, True),
    )


def recorded_fourier(order: int, seed: int) -> FourierGame:
    """The random Fourier game of the reports: C = (A + iB) / sqrt(2) from recorded normal draws, first all of A.

    Args:
        order: 2 or 3 for seed 0, 2 for seed 1.
        seed: 0 or 1.
    """
    size = 2 * order + 1
    draws = torch.tensor(NUMPY_NORMALS[seed][: 2 * size**2], dtype=torch.float64).reshape(2, size, size)
    return FourierGame(*(draws / math.sqrt(2)))


def _torus() -> tuple[KnownGame, ...]:
    """The random games: a double oracle polished by Newton's method on the conditions of optimality."""
    counterexample = _atoms([3 / 8, 7 / 8]), _atoms([1 / 8, 5 / 8])
    antipodes = (_atoms([0.0, 0.5]),) * 2
    order_2 = (
        _atoms([0.10664604530917514, 0.5604553646747652], [0.024415033973751953, 0.9755849660262481]),
        _atoms([0.2923840475207334, 0.702872450760693], [0.36843033293490296, 0.6315696670650971]),
    )
    degenerate = (  # one pair of a continuum
        _atoms(
            [0.0, 1 / 3, 0.5, 2 / 3, 5 / 6],
            [0.20444715635920252, 0.29489280691924996, 0.005338552157605818, 0.21956904199065802, 0.27575244257328385],
        ),
        _atoms(
            [0.0, 1 / 6, 0.2379414107830132, 0.5, 0.5953919229603635],
            [0.0013865504944988731, 0.20313097023655294, 0.23265443814850195, 0.4149369468605327, 0.14789109425991342],
        ),
    )
    order_3 = (
        _atoms(
            [0.19853763892523058, 0.6312794794289015, 0.7773055629281655],
            [0.38765965017312065, 0.2913698523504421, 0.3209704974764372],
        ),
        _atoms(
            [0.15835685327232982, 0.5528784424609107, 0.7175025675463529],
            [0.2705123044373094, 0.13058172315498243, 0.5989059724077083],
        ),
    )
    return (
        KnownGame("fourier_cp_counterexample", FourierCounterexample(), 0.0, *counterexample, True, True),
        KnownGame("chase_cosine", ChaseCosine(), 0.0, *antipodes),
        KnownGame("random_fourier_o2_s0", recorded_fourier(2, 0), -1.770552008087482, *order_2),
        KnownGame("random_fourier_o2_s1", recorded_fourier(2, 1), -0.6979278827288221, *degenerate),
        KnownGame("random_fourier_o3_s0", recorded_fourier(3, 0), 0.4300637899839192, *order_3),
    )


def _uniform(levels: Tensor) -> Tensor:
    return levels


def _gross(levels: Tensor) -> Tensor:
    return (levels * math.pi / 4).tan().square()


def _duel(levels: Tensor) -> Tensor:
    return (9 - 8 * levels).rsqrt()


def _diffuse() -> tuple[KnownGame, ...]:
    bessel = torch.special.i0(torch.tensor([1.0, 4.0], dtype=torch.float64)).tolist()
    return (
        KnownGame("gross_rational", GrossRational(), 4 / math.pi, None, None, True, True, _gross),
        KnownGame("exp_cosine_1", ExponentialCosine(1.0), bessel[0], None, None, True, True, _uniform),
        KnownGame("exp_cosine_4", ExponentialCosine(4.0), bessel[1], None, None, True, True, _uniform),
        KnownGame("silent_duel", SilentDuel(), 0.0, None, None, False, False, _duel),
    )


def _ratio() -> KnownGame:
    """R - v S has value 0 and mixed optimal strategies, so v is a root of its determinant, 0.36 + 0.57 v - 0.04 v^2."""
    game = Ratio([[-0.6, -0.3], [0.6, -0.3]], [[0.9, 0.5], [0.8, 0.4]])
    value = (0.57 - math.sqrt(0.3825)) / 0.08
    (a, b), (c, _) = (game.numerator - value * game.denominator).tolist()
    row, column = c / (c - a), b / (b - a)
    return KnownGame("ratio_game_exotic", game, value, _atoms([[row, 1 - row]]), _atoms([[column, 1 - column]]))


KNOWN_GAMES: tuple[KnownGame, ...] = (
    *_distances(),
    *_polynomials(),
    *_wells(),
    *_bells(),
    *_torus(),
    *_diffuse(),
    _ratio(),
)
"""Every continuous game with a known answer."""
