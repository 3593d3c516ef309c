"""Weak-Minty and Lipschitz constants of the toy games against the published ones."""

import pytest
import torch

from mixnash.core.domains import Box
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.bilinear import Bilinear
from mixnash.core.games.forsaken import Forsaken
from mixnash.core.games.global_forsaken import GlobalForsaken
from mixnash.core.games.polar import PolarGame
from mixnash.core.games.weak_minty_quadratic import WeakMintyQuadratic
from mixnash.equilibrium.fields import joint_field, joint_jacobian
from mixnash.equilibrium.weak_minty import lipschitz_constant, weak_minty_constant
from problems import DOUBLE, normal

ORIGIN = torch.zeros(2, dtype=DOUBLE)
FORSAKEN = torch.tensor([0.07802666873846, 0.41193385136582], dtype=DOUBLE)


def square(radius, per_axis=101):
    return Box([-radius, -radius], [radius, radius]).grid(per_axis)


@pytest.mark.parametrize(
    ("game", "solution", "radius", "rho", "lipschitz"),
    [
        (PolarGame(1.0), ORIGIN, 1.1, -0.0477422436, 18.5479518688),
        (PolarGame(0.75), ORIGIN, 1.1, -0.0358425068, 13.9383898802),
        (PolarGame(1 / 3), ORIGIN, 1.1, -0.0159464637, 6.3060895795),
        (GlobalForsaken(), ORIGIN, 4 / 3, -0.119732, 3.0223976),
        (Forsaken(), FORSAKEN, 1.5, -1.520566, 12.402569),
        (WeakMintyQuadratic(3.0, 1 / 3), ORIGIN, 1.1, -1 / 9, 3.0),
        (WeakMintyQuadratic(2.0, 0.45), ORIGIN, 1.0, -0.225, 2.0),
    ],
    ids=["polar 1", "polar 3/4", "polar 1/3", "global forsaken", "forsaken", "quadratic", "quadratic 2"],
)
def test_constants_are_the_known_ones(game, solution, radius, rho, lipschitz):
    grid = square(radius)
    assert weak_minty_constant(game, solution, grid).value == pytest.approx(rho, abs=1e-6)
    assert lipschitz_constant(game, grid).value == pytest.approx(lipschitz, abs=1e-6)


def test_the_constants_are_attained_where_it_is_said():
    found = weak_minty_constant(Forsaken(), FORSAKEN, square(1.5))
    assert found.point.tolist() == pytest.approx([-0.2581, 0.7917], abs=1e-4)
    field = joint_field(Forsaken(), found.point.unsqueeze(0))[0]
    assert float(field @ (found.point - FORSAKEN) / field.square().sum()) == pytest.approx(found.value, abs=1e-9)


def test_refinement_finds_what_a_coarse_grid_misses():
    coarse = square(1.5, per_axis=8)
    field = joint_field(Forsaken(), coarse)
    seen = ((field * (coarse - FORSAKEN)).sum(1) / field.square().sum(1)).min()
    assert float(seen) > -1.4
    assert weak_minty_constant(Forsaken(), FORSAKEN, coarse).value < -1.5


def test_fields_and_jacobians_are_those_of_the_formulas():
    """Polar, from its definition: V = (a / 16)(r^2 - 1)(16 r^2 - 9) z + (-y, x)."""

    def polar(z):
        s = z.square().sum(-1, keepdim=True)
        return 0.3 / 16 * (s - 1) * (16 * s - 9) * z + torch.stack([-z[..., 1], z[..., 0]], -1)

    points = normal(5, 2)
    torch.testing.assert_close(joint_field(PolarGame(0.3), points), polar(points))
    expected = torch.stack([torch.autograd.functional.jacobian(polar, one) for one in points])
    torch.testing.assert_close(joint_jacobian(PolarGame(0.3), points), expected)


def test_bilinear_games_with_unequal_dimensions_have_a_constant_jacobian():
    matrix = normal(3, 2)
    game = Bilinear(matrix.tolist())
    points = normal(4, 5)
    jacobian = joint_jacobian(game, points)
    expected = torch.zeros(5, 5, dtype=DOUBLE)
    expected[:3, 3:], expected[3:, :3] = matrix, -matrix.T
    torch.testing.assert_close(jacobian, expected.expand(4, 5, 5))
    torch.testing.assert_close(joint_field(game, points), points @ expected.T)
    spectral = float(torch.linalg.matrix_norm(matrix, 2))
    assert lipschitz_constant(game, points).value == pytest.approx(spectral)
    assert weak_minty_constant(game, torch.zeros(5, dtype=DOUBLE), points).value == pytest.approx(0, abs=1e-12)


def test_impossible_requests_are_refused(no_shape_checks):
    with pytest.raises(InvalidInputError, match=r"as many axes as the points, \(2,\), found \(3,\)"):
        weak_minty_constant(Forsaken(), torch.zeros(3, dtype=DOUBLE), square(1.0))
    with pytest.raises(InvalidInputError, match=r"expected \[n, 2\], found \(4, 3\)"):
        lipschitz_constant(Forsaken(), normal(4, 3))
    with pytest.raises(InvalidInputError, match="vanishes at all points"):
        weak_minty_constant(PolarGame(), ORIGIN, ORIGIN.expand(3, 2))
