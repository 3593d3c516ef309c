"""Local conditions at the stationary points of the toy games, and at hand-made Jacobians."""

import math

import pytest
import torch

from mixnash.core.domains import Euclidean
from mixnash.core.errors import InvalidInputError, NonFiniteError
from mixnash.core.games.almost_bilinear import AlmostBilinear
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.forsaken import Forsaken
from mixnash.core.games.forsaken_swapped import ForsakenSwapped
from mixnash.core.games.global_forsaken import GlobalForsaken
from mixnash.core.games.letcher import Letcher
from mixnash.core.games.monkey_saddle import MonkeySaddle
from mixnash.core.games.polar import PolarGame
from mixnash.core.games.saddle_quadratic import SaddleQuadratic
from mixnash.core.games.vectors import AbstractVectorGame
from mixnash.core.games.weak_minty_quadratic import WeakMintyQuadratic
from mixnash.core.games.weird_saddle import WeirdSaddle
from mixnash.equilibrium.local import Kind, classify, local_conditions
from problems import DOUBLE, normal


def at(game, x, y):
    return local_conditions(game, torch.tensor([x], dtype=DOUBLE), torch.tensor([y], dtype=DOUBLE))


class Quadratic(AbstractVectorGame):
    """x'Ax / 2 + x'By - y'Cy / 2 with symmetric A and C."""

    def __init__(self, a, b, c):
        self.a, self.b, self.c = a, b, c
        super().__init__(Euclidean(len(a)), Euclidean(len(c)))

    def payoff(self, x, y):
        return ((x @ self.a) * x).sum(-1) / 2 + ((x @ self.b) * y).sum(-1) - ((y @ self.c) * y).sum(-1) / 2


@pytest.mark.parametrize(
    ("game", "x", "y", "eigenvalue", "kind", "nash"),
    [
        (Bilinear([[1.0]]), 0.0, 0.0, 1j, Kind.CYCLING, False),
        (MonkeySaddle(), 0.0, 0.0, 0, Kind.DEGENERATE, False),
        (WeirdSaddle(), 0.0, 0.0, 1j, Kind.CYCLING, False),
        (AlmostBilinear(), 0.0, 0.0, -0.05 + 0.998749j, Kind.UNSTABLE, False),
        (Forsaken(), 0.0780266687, 0.4119338514, 0.044746 + 0.908028j, Kind.STABLE, False),
        (ForsakenSwapped(), 0.477185, 0.046019, 0.059834 + 0.837034j, Kind.STABLE, False),
        (GlobalForsaken(), 0.0, 0.0, 2 / 3 + 1j, Kind.STABLE, True),
        (PolarGame(0.7), 0.0, 0.0, 9 * 0.7 / 16 + 1j, Kind.STABLE, True),
        (Letcher(), 0.0, 0.0, -1 + 1j, Kind.UNSTABLE, False),
        (WeakMintyQuadratic(3.0, 1 / 3), 0.0, 0.0, -1 + 3j * math.sqrt(8 / 9), Kind.UNSTABLE, False),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, AbstractVectorGame) else "",
)
def test_stationary_points_have_the_known_eigenvalues(game, x, y, eigenvalue, kind, nash):
    found = at(game, x, y)
    assert found.gradient_norm < 1e-5
    assert found.kind is kind
    assert found.is_local_nash(1e-5) is nash
    expected = sorted([complex(eigenvalue), complex(eigenvalue).conjugate()], key=lambda one: one.imag)
    seen = sorted(found.eigenvalues.tolist(), key=lambda one: one.imag)
    assert seen == [pytest.approx(one, abs=2e-6) for one in expected]


def test_the_hyperbola_of_the_weird_saddle_is_degenerate_and_not_nash():
    """Eigenvalues 0 and 2 (x^2 - y^2) on xy = 1/2."""
    found = at(WeirdSaddle(), 2.0, 0.25)
    assert found.eigenvalues.real.tolist() == pytest.approx([0, 2 * (4 - 1 / 16)])
    assert (found.kind, found.is_local_nash()) == (Kind.DEGENERATE, False)
    assert at(WeirdSaddle(), 0.25, 2.0).kind is Kind.UNSTABLE


def test_a_point_with_a_gradient_is_no_nash_point():
    found = at(SaddleQuadratic(), 0.3, 0.4)
    assert found.gradient_norm == pytest.approx(math.hypot(0.6, 0.8))
    assert found.kind is Kind.STABLE
    assert not found.is_local_nash()
    assert at(SaddleQuadratic(), 0.0, 0.0).is_local_nash()


def test_curvature_blocks_and_eigenvalues_belong_to_the_right_player():
    a, b, c = (
        torch.diag(torch.tensor([3.0, -1.0, 2.0])).double(),
        normal(3, 2),
        torch.diag(torch.tensor([5.0, 4.0])).double(),
    )
    turned, _ = torch.linalg.qr(normal(3, 3, key=1))
    found = local_conditions(Quadratic(turned @ a @ turned.T, b, c), torch.zeros(3), torch.zeros(2))
    assert found.minimiser_curvature.tolist() == pytest.approx([-1, 2, 3])
    assert found.maximiser_curvature.tolist() == pytest.approx([4, 5])
    jacobian = torch.cat([torch.cat([turned @ a @ turned.T, b], 1), torch.cat([-b.T, c], 1)])
    expected = torch.linalg.eigvals(jacobian)
    torch.testing.assert_close(found.eigenvalues.sum(), expected.sum())
    torch.testing.assert_close(found.eigenvalues.prod(), expected.prod())
    assert found.eigenvalues.real.diff().min() >= -1e-12


@pytest.mark.parametrize(
    ("eigenvalues", "kind"),
    [
        ([1 + 2j, 1 - 2j, 0.5], Kind.STABLE),
        ([-1 + 2j, -1 - 2j, 0.0], Kind.UNSTABLE),
        ([-1.0, 0.3], Kind.SADDLE),
        ([2j, -2j, 1.0], Kind.CYCLING),
        ([2j, -2j, 0.0], Kind.DEGENERATE),
        ([1e-12 + 1j, 1e-12 - 1j], Kind.CYCLING),
    ],
)
def test_kinds_follow_from_the_real_parts(eigenvalues, kind):
    assert classify(torch.tensor(eigenvalues, dtype=torch.complex128), 1e-9) is kind


def test_points_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInputError, match=r"x with 1 axes and y with 1, found shapes \(2,\) and \(1,\)"):
        local_conditions(Forsaken(), torch.zeros(2), torch.zeros(1))


def test_a_field_that_is_not_finite_is_reported():
    with pytest.raises(NonFiniteError, match="field of Forsaken is not finite at"):
        at(Forsaken(), 1e200, 0.0)
