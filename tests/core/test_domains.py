"""Sets of strategies: projections onto the nearest point, uniform draws and grids."""

import math

import pytest
import torch

from mixnash.core.compositions import compositions
from mixnash.core.domains import Ball, Box, Euclidean, Simplex, Sphere, Torus
from mixnash.core.errors import InvalidInputError
from problems import DOUBLE, make_rng, normal

BOUNDED = {
    "box": Box([-1.0, 0.5], [0.2, 3.0]),
    "line": Box([0.1], [0.7]),
    "torus": Torus(2),
    "simplex": Simplex(3),
    "ball": Ball(2, 0.7),
    "interval as a ball": Ball(1, 0.7),
    "solid ball": Ball(3, 2.0),
    "circle": Sphere(2, 0.7),
    "sphere": Sphere(3, 2.0),
}
over_bounded = pytest.mark.parametrize("domain", BOUNDED.values(), ids=BOUNDED)


def far_points(domain, count=50):
    return 3 * normal(count, domain.dim) + 0.3


@over_bounded
def test_a_projection_lands_in_the_set_and_stays(domain):
    before = far_points(domain)
    points = before.clone()
    once = domain.project(points)
    assert torch.equal(points, before)
    assert bool(domain.contains(once).all())
    torch.testing.assert_close(domain.project(once), once, rtol=0, atol=1e-14)
    torch.testing.assert_close(domain.project(points.reshape(5, 10, -1)), once.reshape(5, 10, -1))
    assert domain.project(points.float()).dtype == torch.float32


@pytest.mark.parametrize("name", [name for name in BOUNDED if name != "torus"])
def test_no_point_of_a_grid_is_nearer_than_the_projection(name):
    domain = BOUNDED[name]
    grid = domain.grid(81 if domain.dim < 3 else 31)
    points = far_points(domain)
    own = (domain.project(points) - points).norm(dim=-1)
    nearest = torch.cdist(points, grid).amin(1)
    assert bool((own <= nearest + 1e-12).all())
    assert bool((nearest <= own + 0.2).all()), "the grid fills the set"


@over_bounded
def test_a_grid_lies_in_the_set_without_repetition(domain):
    grid = domain.grid(9)
    assert grid.dtype == DOUBLE
    assert bool(domain.contains(grid).all())
    assert len(torch.unique(grid.round(decimals=12), dim=0)) == len(grid)


def test_grids_have_the_points_they_announce():
    assert Box([-1.0, 0.0], [1.0, 2.0]).grid(3).tolist() == [[a, b] for a in (-1, 0, 1) for b in (0, 1, 2)]
    assert Torus(1).grid(4).flatten().tolist() == [0, 0.25, 0.5, 0.75]
    assert Simplex(2).grid(3).tolist() == [[0, 1], [0.5, 0.5], [1, 0]]
    assert len(Simplex(3).grid(11)) == 66
    assert Ball(1, 2.0).grid(3).flatten().tolist() == [-2, 0, 2]
    assert len(Sphere(3).grid(3)) == 26
    assert compositions(2, 2).tolist() == [[0, 2], [1, 1], [2, 0]]
    assert compositions(3, 1).tolist() == [[3]]


def test_contains_knows_inside_from_outside_up_to_the_tolerance():
    disc = Ball(2)
    points = torch.tensor([[0.6, 0.8 + 1e-10], [0.6, 0.81], [0.0, 0.0]], dtype=DOUBLE)
    assert disc.contains(points).tolist() == [True, False, True]
    assert disc.contains(points, tolerance=0.1).tolist() == [True, True, True]
    assert Sphere(2).contains(points).tolist() == [True, False, False]
    assert Simplex(2).contains(points).tolist() == [False, False, False]
    assert Euclidean(2).contains(points).all()
    ends = torch.tensor([[0.0], [1.0], [-1e-10], [1 + 1e-10], [1.1], [-0.1]], dtype=DOUBLE)
    assert Torus(1).contains(ends).tolist() == [True, True, True, True, False, False]
    assert Torus(1).distance(ends)[-2:].tolist() == pytest.approx([0.1, 0.1])
    with pytest.raises(InvalidInputError, match="this domain has 2 coordinates, found 1"):
        disc.contains(ends)


def test_the_torus_wraps_and_never_returns_one():
    points = torch.tensor([[-1e-20], [1.0], [-0.25], [7.75], [0.5]], dtype=DOUBLE)
    assert Torus(1).project(points).flatten().tolist() == [0.0, 0.0, 0.75, 0.75, 0.5]
    assert float(Torus(1).project(torch.tensor([-1e-12]))) < 1, "single precision"


def test_the_simplex_projection_survives_large_numbers_and_hands_nan_on():
    large = torch.tensor([1e17, 1e17 - 64, 0.0], dtype=DOUBLE)
    assert Simplex(3).project(large).tolist() == [1, 0, 0]
    assert Simplex(3).project(torch.tensor([0.2, 0.2, 0.9], dtype=DOUBLE)).tolist() == pytest.approx([0.1, 0.1, 0.8])
    assert bool(Simplex(2).project(torch.tensor([math.nan, 1.0])).isnan().any())


def test_the_sphere_sends_its_centre_to_the_first_axis():
    assert Sphere(3, 2.0).project(torch.zeros(2, 3)).tolist() == [[2, 0, 0], [2, 0, 0]]


@over_bounded
def test_draws_lie_in_the_set_and_depend_on_the_generator_alone(domain):
    draws = domain.sample(100, make_rng(3))
    assert draws.shape == (100, domain.dim)
    assert draws.dtype == DOUBLE
    assert bool(domain.contains(draws).all())
    assert torch.equal(draws, domain.sample(100, make_rng(3)))


def moments(domain):
    """Mean and variance of the first coordinate under the uniform law."""
    if isinstance(domain, Box):
        low, high = float(domain.low[0]), float(domain.high[0])
        return (low + high) / 2, (high - low) ** 2 / 12
    if isinstance(domain, Torus):
        return 1 / 2, 1 / 12
    if isinstance(domain, Simplex):
        return 1 / domain.dim, (domain.dim - 1) / (domain.dim**2 * (domain.dim + 1))
    return 0.0, domain.radius**2 / (domain.dim + (2 if isinstance(domain, Ball) else 0))


@over_bounded
def test_draws_have_the_moments_of_the_uniform_law(domain):
    first = domain.sample(40_000, make_rng(4))[:, 0]
    mean, variance = moments(domain)
    assert float(first.mean()) == pytest.approx(mean, abs=4 * math.sqrt(variance / 40_000))
    assert float(first.var()) == pytest.approx(variance, rel=0.04)  # 4 deviations even of the arcsine law


def test_the_whole_space_leaves_points_alone_and_cannot_be_searched():
    points = far_points(Torus(2))
    assert Euclidean(2).project(points) is points
    for search in (lambda: Euclidean(2).sample(3, make_rng(0)), lambda: Euclidean(2).grid(3)):
        with pytest.raises(InvalidInputError, match="give the game a bounded domain"):
            search()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Euclidean(0), "at least one axis, found 0"),
        (lambda: Torus(0), "at least one axis, found 0"),
        (lambda: Simplex(0), "at least one axis, found 0"),
        (lambda: Ball(0), "at least one axis, found 0"),
        (lambda: Box([], []), "at least one axis, found 0"),
        (lambda: Box([0.0], [1.0, 2.0]), "equal lengths, found 1 and 2"),
        (lambda: Box([0.0, 1.0], [1.0, 1.0]), "finite and above the lower one"),
        (lambda: Box([-math.inf], [1.0]), "finite and above the lower one"),
        (lambda: Ball(2, 0.0), "radius of a ball must be positive and finite, found 0.0"),
        (lambda: Sphere(2, math.inf), "radius of a sphere must be positive and finite, found inf"),
        (lambda: Sphere(1), "at least 2 axes, found 1"),
        (lambda: Box([0.0], [1.0]).grid(1), "at least 2 points per axis, found 1"),
        (lambda: Simplex(3).grid(1), "at least 2 points per axis, found 1"),
    ],
)
def test_a_domain_refuses_impossible_numbers(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()


def test_only_the_whole_space_is_unbounded_and_only_the_torus_is_periodic():
    domains = [Euclidean(2), Box([0.0], [1.0]), Torus(1), Simplex(3), Ball(2), Sphere(2)]
    assert [one.bounded for one in domains] == [False, True, True, True, True, True]
    assert [one.periodic for one in domains] == [False, False, True, False, False, False]


def test_points_of_a_torus_are_unwrapped_to_the_name_nearest_to_a_reference():
    points, reference = torch.tensor([[0.9], [0.2]], dtype=torch.float64), torch.tensor([[0.1], [3.4]]).double()
    torch.testing.assert_close(Torus(1).unwrap(points, reference), torch.tensor([[-0.1], [3.2]]).double())
    assert Box([0.0], [1.0]).unwrap(points, reference) is points
