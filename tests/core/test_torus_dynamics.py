"""Schemes that subtract positions must not count the turns of a torus as steps."""

import math

import pytest
import torch

from mixnash.core.domains import Euclidean, Torus
from mixnash.core.dynamics.adaptive_extragradient_plus import AdaptiveExtragradientPlus
from mixnash.core.dynamics.bias_corrected_extragradient_plus import BiasCorrectedExtragradientPlus
from mixnash.core.dynamics.curvature_extragradient_plus import CurvatureExtragradientPlus
from mixnash.core.dynamics.extragradient import Extragradient
from mixnash.core.dynamics.extragradient_plus import ExtragradientPlus
from mixnash.core.dynamics.lookahead import Lookahead
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.core.schedules import Polynomial
from mixnash.core.types import Profile
from mixnash.core.vector_oracle import VectorOracle
from problems import descend, positions, run, vectors


class Waves(AbstractVectorGame):
    """-cos 2 pi x + cos 2 pi y + 0.3 sin 2 pi x sin 2 pi y: the origin attracts, and the start lies across the seam."""

    def payoff(self, x, y):
        x, y = 2 * math.pi * x.squeeze(-1), 2 * math.pi * y.squeeze(-1)
        return -torch.cos(x) + torch.cos(y) + 0.3 * torch.sin(x) * torch.sin(y)


DYNAMICS = {
    "extragradient": lambda: descend(Extragradient, 0.01),
    "EG+": lambda: ExtragradientPlus(0.01, 0.5),
    "AdaptiveEG+": lambda: AdaptiveExtragradientPlus(0.01),
    "CurvatureEG+": lambda: CurvatureExtragradientPlus(),
    "BCSEG+": lambda: BiasCorrectedExtragradientPlus(0.01, Polynomial(0.9, 0.2)),
    "Lookahead": lambda: Lookahead(descend(Simultaneous, 0.01), 5, 0.5),
}


def path(make, domain):
    """Positions of both players over 120 steps."""
    dynamics = make()
    states, _ = run(dynamics, VectorOracle(Waves(domain, domain)), Profile(vectors([0.02]), vectors([0.97])), 120)
    return torch.stack([torch.cat([one[0] for one in positions(dynamics, state)]) for state in states])


@pytest.mark.parametrize("name", DYNAMICS)
def test_a_path_on_the_torus_is_the_path_on_the_line_wrapped(name):
    line, torus = path(DYNAMICS[name], Euclidean(1)), path(DYNAMICS[name], Torus(1))
    apart = line - torus
    torch.testing.assert_close(apart, apart.round(), rtol=0, atol=1e-5)  # line searches amplify rounding
    assert float((line[-1] - torch.tensor([0.0, 1.0])).norm()) < 0.02
    assert float(torus.min()) >= 0
    assert float(torus.max()) < 1
