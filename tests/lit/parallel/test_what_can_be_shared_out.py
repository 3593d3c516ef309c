"""Which dynamics move particles one by one, so that processes can own some each, and what else is refused."""

import pytest

from mixnash.core.dynamics.birth_death import BirthDeath
from mixnash.core.dynamics.lookahead import Lookahead
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.lit.mixed_checks import check_separable, check_shared_batch
from plugins import DYNAMICS, RULES

SEPARABLE = {
    "Alternating",
    "BiasCorrectedExtragradientPlus",
    "Extragradient",
    "ExtragradientPlus",
    "Lookahead",
    "MirrorLangevin",
    "MirrorProxLangevin",
    "Optimistic",
    "PastExtragradient",
    "Reflected",
    "Simultaneous",
}
"""All others take norms over both players, multiply by the field's derivative, or replace particles by others."""


@pytest.mark.parametrize("kind", DYNAMICS, ids=lambda kind: kind.__name__)
def test_dynamics_that_look_at_all_particles_together_are_refused(kind):
    dynamics = DYNAMICS[kind]()
    if kind.__name__ in SEPARABLE:
        check_separable(dynamics, (None, None))
        return
    with pytest.raises(InvalidInputError, match=f"{kind.__name__} looks at the positions of all particles together"):
        check_separable(dynamics, (None, None))


def test_wrapper_is_as_separable_as_what_it_wraps():
    base = BirthDeath(Simultaneous(*RULES), 2, 0.15)
    with pytest.raises(InvalidInputError, match="Lookahead looks at the positions of all particles together"):
        check_separable(Lookahead(base, 2, 0.3), (None, None))


@pytest.mark.parametrize("sampled", [(2, None), (None, 1)])
def test_sampled_opponents_are_refused(sampled):
    with pytest.raises(InvalidInputError, match="Sampled opponents may be on any process"):
        check_separable(Simultaneous(*RULES), sampled)


def test_batches_of_networks_that_normalise_by_them_are_not_shared_out():
    check_shared_batch(1, True)
    check_shared_batch(2, False)
    with pytest.raises(InvalidInputError, match="batches 2 processes share out would not be that of one process"):
        check_shared_batch(2, True)
