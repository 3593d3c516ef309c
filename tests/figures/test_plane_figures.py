import numpy as np
import pytest
import torch
from drawing import drawn, texts
from matplotlib.collections import EllipseCollection, PathCollection

from mixnash.core.errors import InvalidInputError
from mixnash.core.mixtures import GaussianMixture, make_mixture
from mixnash.figures.plane import critic_landscape, sample_history, sample_scatter
from mixnash.figures.style import SEQUENTIAL, particle_colours

LIMITS = (-2.6, 2.6, -2.6, 2.6)


def grid_mixture(scale: float = 0.05) -> GaussianMixture:
    centres = torch.cartesian_prod(torch.linspace(-2, 2, 5), torch.linspace(-2, 2, 5))
    return make_mixture(centres, torch.full((25,), scale))


def cloud(count: int, particles: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, 2, generator=generator), torch.randint(particles, (count,), generator=generator)


def dots(figure) -> PathCollection:
    return next(c for c in figure.axes[0].collections if isinstance(c, PathCollection))


@pytest.mark.parametrize(("count", "particles"), [(0, 1), (1, 1), (300, 25), (300, 64), (5000, 3)])
def test_scatter_draws_every_sample_in_its_particles_colour(count, particles):
    samples, particle = cloud(count, particles)
    before = samples.clone(), particle.clone()
    figure = sample_scatter(samples, particle, LIMITS, "title", grid_mixture(), particles)
    drawn(figure)
    found, colours = dots(figure).get_offsets().data, dots(figure).get_facecolors()[:count]
    assert len(found) == count
    owner = {tuple(point): k for point, k in zip(samples.double().tolist(), particle.tolist(), strict=True)}
    expected = particle_colours(particles)[[owner[tuple(point)] for point in found.tolist()]]
    np.testing.assert_allclose(colours[:, :3], expected)
    assert torch.equal(samples, before[0])
    assert torch.equal(particle, before[1])


def test_particles_take_turns_in_the_drawing_order():
    points = np.arange(12.0).reshape(6, 2) / 10
    figure = sample_scatter(points, np.array([1, 1, 1, 0, 0, 2]), LIMITS, "title")
    order = (dots(figure).get_offsets().data[:, 0] * 5).round().astype(int)
    assert order.tolist() == [3, 0, 5, 4, 1, 2]


def test_samples_outside_and_not_finite_are_counted():
    points = np.array([[0, 0], [9, 0], [0, -9], [np.nan, 0], [1, np.inf]])
    figure = sample_scatter(points, np.zeros(5, dtype=int), LIMITS, "title")
    drawn(figure)
    assert "5 samples, 4 outside" in texts(figure)


def test_modes_are_rings_of_three_standard_deviations():
    figure = sample_scatter(*cloud(5, 2), LIMITS, "title", grid_mixture(0.05))
    (rings,) = [c for c in figure.axes[0].collections if isinstance(c, EllipseCollection)]
    np.testing.assert_allclose(rings.get_widths(), 2 * 3 * 0.05, rtol=1e-6)
    assert len(rings.get_offsets()) == 25
    assert "rings: 3 sd of the modes" in " ".join(texts(figure))


def test_modes_too_small_to_see_become_crosses():
    mixture = make_mixture(grid_mixture().centres, torch.tensor([0.2] * 10 + [0.001] * 15))
    figure = sample_scatter(*cloud(5, 2), LIMITS, "title", mixture)
    drawn(figure)
    (rings,) = [c for c in figure.axes[0].collections if isinstance(c, EllipseCollection)]
    crosses = [c for c in figure.axes[0].collections if isinstance(c, PathCollection)][-1]
    assert len(rings.get_offsets()) == 10
    assert len(crosses.get_offsets()) == 15
    assert "crosses: modes, not to scale" in " ".join(texts(figure))


@pytest.mark.parametrize("limits", [(-1.0, 1.0, -30.0, 30.0), (-30.0, 30.0, -1.0, 1.0), (-1.0, 3.0, 0.0, 2.0)])
def test_windows_keep_an_equal_aspect(limits):
    figure = sample_scatter(*cloud(20, 3), limits, "title", grid_mixture())
    drawn(figure)
    box = figure.axes[0].get_window_extent()
    assert box.height / box.width == pytest.approx((limits[3] - limits[2]) / (limits[1] - limits[0]), rel=1e-3)


@pytest.mark.parametrize("mixture", [None, grid_mixture()])
def test_landscape_puts_the_first_row_at_the_bottom(mixture):
    values = np.add.outer(10.0 * np.arange(20), np.arange(30))
    figure = critic_landscape(values, LIMITS, "title", cloud(50, 1)[0], mixture)
    pixels = drawn(figure)
    box = figure.axes[0].get_window_extent()
    low = pixels[pixels.shape[0] - int(box.y0) - 6, int(box.x0) + 6]
    high = pixels[pixels.shape[0] - int(box.y1) + 6, int(box.x1) - 6]
    np.testing.assert_allclose(low, 255 * np.array(SEQUENTIAL(0.02)[:3]), atol=8)
    np.testing.assert_allclose(high, 255 * np.array(SEQUENTIAL(0.98)[:3]), atol=8)
    assert "critic score" in texts(figure)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((20, 30)),
        np.full((2, 2), -7.0),
        1e6 + 1e-9 * np.arange(12.0).reshape(3, 4),
        np.where(np.eye(20) > 0, np.nan, np.arange(20.0)),
        np.where(np.eye(20) > 0, -np.inf, np.arange(20.0)),
    ],
)
def test_landscape_of_constant_and_masked_scores(values):
    before = values.copy()
    figure = critic_landscape(values, LIMITS, "title", None, grid_mixture())
    drawn(figure)
    assert ("grey: score not finite" in " ".join(texts(figure))) == (not np.isfinite(values).all())
    np.testing.assert_array_equal(values, before)


def test_landscape_without_any_finite_score_has_no_colour_bar():
    figure = critic_landscape(torch.full((3, 4), torch.nan), LIMITS, "title")
    drawn(figure)
    assert len(figure.axes) == 1
    assert "grey: score not finite" in texts(figure)


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (4, 1, 4), (5, 2, 3), (10, 3, 4)])
def test_history_is_a_grid_of_labelled_panels(count, rows, columns):
    snapshots = [(f"step {k}", *cloud(30 * k, 6)) for k in range(count)]
    figure = sample_history(snapshots, (-9.0, 9.0, -9.0, 9.0), "title", grid_mixture(), 6)
    drawn(figure)
    panels = figure.axes[:count]
    boxes = [panel.get_window_extent() for panel in panels]
    assert len({round(box.y0) for box in boxes}) == rows
    assert len({round(box.x0) for box in boxes}) == columns
    assert [panel.get_title(loc="left") for panel in panels] == [label for label, _, _ in snapshots]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_history_colours_do_not_depend_on_the_snapshot():
    samples, particle = cloud(40, 7)
    figure = sample_history([("a", samples, particle), ("b", samples[:1], particle[:1])], LIMITS, "title")
    last = next(c for c in figure.axes[1].collections if isinstance(c, PathCollection))
    np.testing.assert_allclose(last.get_facecolors()[0, :3], particle_colours(7)[int(particle[0])])


def test_impossible_inputs_are_refused_in_sentences(no_shape_checks):
    samples, particle = cloud(6, 3)
    with pytest.raises(InvalidInputError, match=r"Expected samples of shape \[n, 2\], found \[6, 1\]"):
        sample_scatter(samples[:, :1], particle, LIMITS, "title")
    with pytest.raises(InvalidInputError, match=r"indices of particles of shape \[6\], found \[5\]"):
        sample_scatter(samples, particle[:5], LIMITS, "title")
    with pytest.raises(InvalidInputError, match=r"indices of particles in \[0, 1\)"):
        sample_scatter(samples, particle, LIMITS, "title", None, 1)
    with pytest.raises(InvalidInputError, match="xmin < xmax and ymin < ymax, found"):
        sample_scatter(samples, particle, (1.0, -1.0, 0.0, 1.0), "title")
    with pytest.raises(InvalidInputError, match=r"centres of modes of shape \[M, 2\], found \[4, 3\]"):
        sample_scatter(samples, particle, LIMITS, "title", make_mixture(torch.zeros(4, 3), torch.ones(4)))
    with pytest.raises(InvalidInputError, match=r"critic scores of shape \[H, W\], found \[5\]"):
        critic_landscape(np.zeros(5), LIMITS, "title")
    with pytest.raises(InvalidInputError, match=r"at least 2 x 2 scores, found \(1, 9\)"):
        critic_landscape(np.zeros((1, 9)), LIMITS, "title")
    with pytest.raises(InvalidInputError, match="ymin < ymax"):
        critic_landscape(np.zeros((3, 3)), (0.0, 1.0, 1.0, np.nan), "title")
    with pytest.raises(InvalidInputError, match="at least one snapshot"):
        sample_history([], LIMITS, "title")
    with pytest.raises(InvalidInputError, match=r"samples at step 4 of shape \[n, 2\]"):
        sample_history([("step 4", samples.T, particle)], LIMITS, "title")
