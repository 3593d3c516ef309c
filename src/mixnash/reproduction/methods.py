"""The first-order methods of the comparisons, by the names that the figures use."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.dynamics.competitive import Competitive
from mixnash.core.dynamics.consensus import Consensus
from mixnash.core.dynamics.curvature_extragradient_plus import CurvatureExtragradientPlus
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.extragradient_plus import ExtragradientPlus
from mixnash.core.dynamics.lookahead import Lookahead
from mixnash.core.dynamics.optimistic import Optimistic
from mixnash.core.dynamics.past_extragradient import PastExtragradient
from mixnash.core.dynamics.proximal_point import ProximalPoint
from mixnash.core.dynamics.reflected import Reflected
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.rules.base import AbstractPositionRule, PlayerRules
from mixnash.core.rules.frozen import Frozen
from mixnash.core.rules.sgd import SGD

Method = Callable[[float], AbstractDynamics]
"""From a step size to a dynamics."""


def positions_only(rule: AbstractPositionRule) -> PlayerRules:
    """A player whose weights stay."""
    return PlayerRules(rule, Frozen())


def _pair(step: float) -> tuple[PlayerRules, PlayerRules]:
    return positions_only(SGD(step)), positions_only(SGD(step))


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "GDA": lambda step: Simultaneous(*_pair(step)),
        "altGDA": lambda step: Alternating(*_pair(step), generators_first=True),
        "PPM": lambda step: ProximalPoint(*_pair(step)),
        "EG": lambda step: Extragradient(*_pair(step)),
        "EG+ ½": lambda step: ExtragradientPlus(step, 0.5),
        "OGDA": lambda step: Optimistic(*_pair(step)),
        "RFBS": lambda step: Reflected(*_pair(step)),
        "CO": lambda step: Consensus(step, 0.5),
        "CGD": lambda step: Competitive(step),
        "LA-GDA": lambda step: Lookahead(Simultaneous(*_pair(step)), 5, 0.5),
        "LA-EG": lambda step: Lookahead(Extragradient(*_pair(step)), 5, 0.5),
        "CurvatureEG+": lambda step: CurvatureExtragradientPlus(),
        "past EG": lambda step: PastExtragradient(*_pair(step)),
    }
)
"""All with plain gradient steps; CurvatureEG+ finds its own step size."""
