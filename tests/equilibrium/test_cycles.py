"""Limit cycles of simulated flows against the known radii and periods; what is no cycle is not called one."""

import math

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.equilibrium.cycles import detect_cycle
from problems import DOUBLE, normal

ORIGIN = torch.zeros(2, dtype=DOUBLE)


def wells_slope(u):
    """Derivative of u^2 / 4 - u^4 / 2 + u^6 / 6."""
    return u / 2 - 2 * u**3 + u**5


def almost_bilinear(x, y):
    return y, -x - 0.1 * (y - y**3)


def forsaken(x, y):
    return y - 0.45 + wells_slope(x), wells_slope(y) - x


def polar(x, y):
    s = x * x + y * y
    radial = (s - 1) * (16 * s - 9) / 16
    return radial * x - y, radial * y + x


def letcher(x, y):
    return y - x + x**3, -x - y + y**3


def flow(field, start, step, steps):
    """Runge-Kutta steps along z' = -V(z)."""

    def slope(z):
        return [-one for one in field(*z)]

    def ahead(z, scale, k):
        return [one + scale * step * other for one, other in zip(z, k, strict=True)]

    z, path = list(start), [start]
    for _ in range(steps):
        k1 = slope(z)
        k2 = slope(ahead(z, 0.5, k1))
        k3 = slope(ahead(z, 0.5, k2))
        k4 = slope(ahead(z, 1.0, k3))
        total = [a + 2 * b + 2 * c + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True)]
        z = ahead(z, 1 / 6, total)
        path.append(tuple(z))
    return torch.tensor(path, dtype=DOUBLE)


@pytest.mark.parametrize(
    ("field", "start", "step", "steps", "radii", "period"),
    [
        (almost_bilinear, (1.0, 0.1), 0.05, 4000, (1.1547, 1.1426, 1.1676), 6.2871),
        (polar, (1.0, 0.5), 0.05, 1500, (1.0, 1.0, 1.0), 2 * math.pi),
        (letcher, (0.1, 0.1), 0.05, 1500, (None, 1.06954, 1.24832), 6.851),
        (forsaken, (1.0, -0.8), 0.05, 2400, (None, None, None), 7.548),
    ],
    ids=["almost bilinear", "polar", "letcher", "forsaken"],
)
def test_cycles_of_flows_have_the_known_radii_and_periods(field, start, step, steps, radii, period):
    centre = None if field is forsaken else ORIGIN
    found = detect_cycle(flow(field, start, step, steps), centre)
    assert found is not None
    assert found.period * step == pytest.approx(period, abs=5e-4)
    assert found.drift < 1e-3
    for seen, expected in zip((found.mean_radius, found.min_radius, found.max_radius), radii, strict=True):
        assert expected is None or seen == pytest.approx(expected, abs=1e-3)


def test_the_outer_cycle_of_forsaken_winds_around_its_centre_of_gravity():
    found = detect_cycle(flow(forsaken, (1.0, -0.8), 0.05, 2400))
    assert found.turns >= 6
    assert found.min_radius < 1.1 < 1.7 < found.max_radius
    assert float((found.centre - torch.tensor([0.12, 0.34], dtype=DOUBLE)).norm()) < 0.05


@pytest.mark.parametrize("turn", [1.0, -1.0])
def test_an_ellipse_in_space_is_measured_whichever_way_it_runs(turn):
    """Period 2 pi / 0.37 steps; the middle of the ellipse is its centre, not the mean of an incomplete turn."""
    angles = turn * 0.37 * torch.arange(400, dtype=DOUBLE)
    frame, _ = torch.linalg.qr(normal(5, 2))
    centre = normal(5, key=1)
    points = centre + torch.stack([3 * angles.cos(), 2 * angles.sin()], 1) @ frame.T
    found = detect_cycle(points, centre)
    assert found.period == pytest.approx(2 * math.pi / 0.37, rel=1e-4)
    assert (found.min_radius, found.max_radius) == (pytest.approx(2, abs=1e-2), pytest.approx(3, abs=1e-2))
    # The mean radius over time, by quadrature.
    fine = torch.linspace(0, 2 * math.pi, 10001, dtype=DOUBLE)[:-1]
    assert found.mean_radius == pytest.approx(
        float((9 * fine.cos() ** 2 + 4 * fine.sin() ** 2).sqrt().mean()), abs=1e-2
    )


STEPS = torch.arange(2000, dtype=DOUBLE)
CIRCLE = torch.stack([(0.1 * STEPS).cos(), (0.1 * STEPS).sin()], 1)


@pytest.mark.parametrize(
    "points",
    [
        0.99 ** STEPS.unsqueeze(1) * CIRCLE,
        (1 - 1e-4 * STEPS).unsqueeze(1) * CIRCLE,
        CIRCLE + 1e-3 * STEPS.unsqueeze(1),
        torch.ones(2000, 2, dtype=DOUBLE) + 1e-14 * CIRCLE,
        torch.zeros(2000, 2, dtype=DOUBLE),
        torch.stack([STEPS, STEPS], 1),
        1.5 ** STEPS.unsqueeze(1) * CIRCLE,
        CIRCLE[:100],
        CIRCLE[:4],
        normal(2000, 2),
        CIRCLE * (1 + 0.2 * (0.013 * STEPS).cos()).unsqueeze(1),
    ],
    ids=["spiral", "slow spiral", "drift", "rounding", "rest", "line", "escape", "short", "tiny", "noise", "beats"],
)
@pytest.mark.parametrize("centre", [None, ORIGIN], ids=["its mean", "the origin"])
def test_what_does_not_repeat_is_no_cycle(points, centre):
    assert detect_cycle(points, centre) is None


def test_a_spiral_that_moves_less_than_the_tolerance_passes():
    slow = (1 - 1e-6 * STEPS).unsqueeze(1) * CIRCLE
    found = detect_cycle(slow, ORIGIN)
    assert found.drift == pytest.approx(13 * 20 * math.pi * 1e-6, rel=0.01)
    assert detect_cycle(slow, ORIGIN, tolerance=1e-4) is None


def test_only_the_tail_counts():
    points = torch.cat([3 * CIRCLE[:1000], CIRCLE[:1000]])
    assert detect_cycle(points, ORIGIN, tail=0.5) is not None
    assert detect_cycle(points, ORIGIN, tail=0.9) is None


@pytest.mark.parametrize(
    ("points", "arguments", "message"),
    [
        (STEPS, {}, r"at least 2 axes, found shape \(2000,\)"),
        (STEPS.unsqueeze(1), {}, r"at least 2 axes, found shape \(2000, 1\)"),
        (CIRCLE, {"tail": 0.0}, r"in \(0, 1\], found 0.0"),
        (CIRCLE, {"tolerance": 0.0}, "must be positive, found 0.0"),
    ],
)
def test_impossible_requests_are_refused(points, arguments, message, no_shape_checks):
    with pytest.raises(InvalidInputError, match=message):
        detect_cycle(points, **arguments)
