import math
import warnings

import matplotlib
import numpy as np
import pytest
import torch
from drawing import drawn, texts
from matplotlib.colors import to_hex
from matplotlib.patches import Polygon, Rectangle

from mixnash.core.errors import InvalidInputError
from mixnash.figures.encode import to_png
from mixnash.figures.fields import (
    METHOD_COLOURS,
    FieldPanel,
    Trajectory,
    balanced_columns,
    field_trajectories,
    method_looks,
)
from mixnash.figures.outcomes import KIND_COLOURS, gap_strips, outcome_matrix, success_bars
from mixnash.figures.rates import RateCurve, RatePanel, rates
from mixnash.figures.strategies import Atoms, Density, MixedPanel, PlanePanel, mixed_strategies, strategies_in_plane

WINDOW = (-2.0, 2.0, -2.0, 2.0)
CONES = {  # Machado, Oliveira and Fernandes 2009, severity 1
    "all": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def spiral(rate: float, count: int = 60) -> torch.Tensor:
    """x + iy times a factor each step, from 1."""
    angle = 0.2 * torch.arange(count)
    return (rate ** torch.arange(count)).unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], 1)


def rotation() -> torch.Tensor:
    """-V of the game xy on a grid: (-y, x)."""
    y, x = torch.meshgrid(torch.linspace(-2, 2, 15), torch.linspace(-2, 2, 20), indexing="ij")
    return torch.stack([-y, x], -1)


def field_panel(title: str, **paths: torch.Tensor) -> FieldPanel:
    trajectories = [Trajectory(name, points) for name, points in paths.items()]
    return FieldPanel(title, trajectories, WINDOW, rotation(), torch.zeros(1, 2))


def lines_named(axes, name: str) -> list:
    return [line for line in axes.lines if line.get_label() == name]


def legend_texts(figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize("sight", CONES)
@pytest.mark.parametrize(("palette", "least"), [(METHOD_COLOURS, 0.07), (KIND_COLOURS, 0.09)])
def test_colours_can_be_told_apart_also_without_some_cones(sight, palette, least):
    srgb = np.array([[int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)] for colour in palette])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4) @ np.array(CONES[sight]).T
    to_cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    lab = np.cbrt(linear.clip(0, 1) @ np.array(to_cones).T) @ np.array(to_lab).T
    apart = np.linalg.norm(lab[:, None] - lab, axis=-1) + 9 * np.eye(len(palette))
    assert apart.min() > least


def test_trajectories_are_drawn_as_given_between_their_start_and_their_end():
    points = spiral(0.97)
    before = points.clone()
    figure = field_trajectories([field_panel("xy", inwards=points)], "Title")
    drawn(figure)
    (axes,) = figure.axes
    (line,) = lines_named(axes, "inwards")
    np.testing.assert_allclose(line.get_xydata(), points, rtol=1e-6)
    marks = {(one.get_marker(), one.get_markerfacecolor()): one.get_xydata() for one in axes.lines if one is not line}
    np.testing.assert_allclose(marks["o", "white"], points[:1])
    np.testing.assert_allclose(marks["o", METHOD_COLOURS[0]], points[-1:], rtol=1e-6)
    assert [data.tolist() for (marker, _), data in marks.items() if marker == "*"] == [[[0, 0]]]
    assert legend_texts(figure) == ["inwards", "start", "end", "equilibrium"]
    assert {"Title", "xy", "x (minimiser)", "y (maximiser)"} <= set(texts(figure))
    assert torch.equal(points, before)


def test_a_method_has_one_colour_in_all_panels_and_one_entry_in_the_legend():
    panels = [field_panel("one", a=spiral(0.9), b=spiral(0.95)), field_panel("two", b=spiral(0.8), c=spiral(0.99))]
    figure = field_trajectories(panels, "Title")
    drawn(figure)
    left, right = figure.axes
    assert lines_named(left, "b")[0].get_color() == lines_named(right, "b")[0].get_color() == METHOD_COLOURS[1]
    assert lines_named(right, "c")[0].get_color() == METHOD_COLOURS[2]
    assert legend_texts(figure) == ["a", "b", "c", "start", "end", "equilibrium"]
    low = min(axes.get_tightbbox().y0 for axes in figure.axes)
    assert all(legend.get_window_extent().y1 <= low + 1 for legend in figure.legends), "the legend covers a panel"


def test_a_trajectory_that_leaves_is_cut_at_the_border_and_counted():
    out = torch.tensor([[0.0, 0.0], [1.0, 0.5], [3.0, 1.5], [1e30, torch.inf]])
    broken = torch.tensor([[0.0, 1.0], [0.0, 1.5], [torch.nan, 0.0]])
    never = torch.full((3, 2), 7.0)
    figure = field_trajectories([field_panel("xy", stays=spiral(0.9), out=out, broken=broken, never=never)], "Title")
    drawn(figure)
    (axes,) = figure.axes
    np.testing.assert_allclose(lines_named(axes, "out")[0].get_xydata(), [[0, 0], [1, 0.5], [2, 1]])
    np.testing.assert_allclose(lines_named(axes, "broken")[0].get_xydata(), broken[:2])
    heads = [one for one in axes.lines if isinstance(one.get_marker(), tuple)]
    assert [one.get_xydata().tolist() for one in heads] == [[[2, 1]], [[0, 1.5]]]
    directions = [one.get_marker()[2] + 90 for one in heads]
    np.testing.assert_allclose(directions, [math.degrees(math.atan2(1, 2)), 90])
    assert "3 of 4 leave" in texts(figure)
    assert "leaves the window" in legend_texts(figure)


def test_an_excursion_that_returns_is_not_counted():
    points = torch.tensor([[0.0, 0.0], [9.0, 0.0], [1.0, 1.0]])
    figure = field_trajectories([field_panel("xy", a=points)], "Title")
    drawn(figure)
    np.testing.assert_allclose(lines_named(figure.axes[0], "a")[0].get_xydata(), points)
    assert not [text for text in texts(figure) if "leave" in text]


def test_ends_at_one_place_are_rings_around_each_other():
    panel = field_panel("xy", a=spiral(0.5), b=spiral(0.5), c=spiral(0.5), far=spiral(1.0))
    figure = field_trajectories([panel], "Title")
    ends = [one for one in figure.axes[0].lines if one.get_markeredgecolor() == "white"]
    sizes = {one.get_color(): one.get_markersize() for one in ends}
    a, b, c, far = (sizes[colour] for colour in METHOD_COLOURS[:4])
    assert a > b > c > far


def test_streamlines_follow_the_field():
    y, x = np.meshgrid(np.linspace(-2, 2, 9), np.linspace(-2, 2, 12), indexing="ij")
    field = np.stack([1 + 0 * x, 0 * y], -1)
    panel = FieldPanel("drift", [Trajectory("a", np.zeros((1, 2)))], WINDOW, field)
    (axes,) = field_trajectories([panel], "").axes
    steps = np.concatenate([np.diff(path, axis=0) for path in axes.collections[0].get_segments()])
    assert len(steps) > 50
    np.testing.assert_allclose(steps[:, 1], 0, atol=1e-9)


@pytest.mark.parametrize("fill", [0.0, np.nan, 1e300])
def test_fields_with_nothing_to_follow_are_drawn(fill):
    panel = FieldPanel("flat", [Trajectory("a", spiral(0.9))], WINDOW, np.full((4, 5, 2), fill))
    drawn(field_trajectories([panel], "Title"))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_panels_do_not_overlap_and_long_names_are_not_cut(count):
    paths = {f"a rather long name of method {k}": spiral(0.9 + k / 100) for k in range(6)}
    panels = [field_panel(f"a game with a title too long for its panel, number {k}", **paths) for k in range(count)]
    figure = field_trajectories([panel._replace(note="step 0.05, noise 0.1") for panel in panels], "Title")
    drawn(figure)
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert len({round(axes.get_window_extent().x0) for axes in figure.axes}) == balanced_columns(count)


def test_more_methods_than_colours_are_dashed():
    looks = list(method_looks(f"method {k}" for k in range(20)).values())
    assert len(set(looks)) == 20
    assert looks[8].colour == looks[0].colour
    assert looks[8].dashes != looks[0].dashes
    with pytest.raises(InvalidInputError, match="Expected 1 to 24 methods in a figure, found 25"):
        method_looks(map(str, range(25)))


THREE = Atoms(torch.tensor([-1.0, 0.0, 1.0]), torch.tensor([0.3437, 0.3126, 0.3437]))


def halves(figure, panel: int = 0) -> list:
    return figure.axes[panel].child_axes


def test_atoms_are_stems_up_and_down_after_merging():
    found = Atoms(torch.tensor([-1.0, 0.5, 0.502, 1.0]), torch.tensor([0.25, 0.3, 0.1, 0.35]))
    panel = MixedPanel("game", found, THREE, THREE, None, (-1.0, 1.0), "value 0.4")
    figure = mixed_strategies([panel], "Title")
    drawn(figure)
    up, down = halves(figure)
    stems, known = up.lines
    order = np.argsort(stems.get_xdata())
    np.testing.assert_allclose(stems.get_xdata()[order], [-1, 0.5005, 1], rtol=1e-6)
    np.testing.assert_allclose(stems.get_ydata()[order], [0.25, 0.4, 0.35], rtol=1e-6)
    assert known.get_markerfacecolor() == "none"
    np.testing.assert_allclose(sorted(known.get_xydata().tolist()), np.stack(THREE, 1), rtol=1e-6)
    assert len(down.lines) == 1, "no known maximiser"
    assert up.get_ylim() == down.get_ylim()[::-1], "mirrored at one scale"
    assert up.get_ylim()[0] == 0
    assert up.get_ylim()[1] > 0.4
    assert legend_texts(figure) == ["minimiser x", "maximiser y", "known equilibrium"]
    assert {"game", "value 0.4"} <= set(texts(figure))


@pytest.mark.parametrize(("count", "stems"), [(40, True), (41, False)])
def test_more_than_forty_atoms_become_a_density_that_integrates_to_one(count, stems):
    positions, weights = torch.linspace(0, 3, count), torch.softmax(torch.linspace(0, 2, count), 0)
    found = Atoms(positions, weights)
    figure = mixed_strategies([MixedPanel("game", found, THREE, None, None, (-1.0, 3.0))], "Title")
    drawn(figure)
    up, down = halves(figure)
    assert bool(up.lines) == stems
    assert len(down.lines) == 1
    if not stems:
        heights, edges, _ = up.patches[0].get_data()
        assert (heights * np.diff(edges)).sum() == pytest.approx(1)
        assert np.average((edges[1:] + edges[:-1]) / 2, weights=heights) == pytest.approx(
            float(positions @ weights), abs=0.04
        )
        assert {"density", "weight"} <= {half.get_ylabel() for half in (up, down)}


def test_many_particles_at_few_places_stay_stems():
    found = Atoms(torch.tensor([0.2, 0.7]).repeat(300), torch.full((600,), 1 / 600))
    figure = mixed_strategies([MixedPanel("game", found, found, None, None, (0.0, 1.0))], "Title")
    drawn(figure)
    np.testing.assert_allclose(halves(figure)[0].lines[0].get_ydata(), [0.5, 0.5], rtol=1e-5)


def test_a_known_density_is_dashed_and_has_its_own_scale_beside_weights():
    at = np.linspace(0.001, 1, 50)
    law = Density(at, 1 / np.sqrt(at) / 2)
    cloud = Atoms(np.linspace(0, 1, 99) ** 2, np.full(99, 1 / 99))
    few = Atoms(np.array([0.1, 0.6]), np.array([0.5, 0.5]))
    figure = mixed_strategies([MixedPanel("game", few, cloud, law, law, (0.0, 1.0))], "Title")
    drawn(figure)
    up, down = halves(figure)
    (beside,) = up.child_axes
    assert down.child_axes == []
    for axes in (beside, down):
        np.testing.assert_allclose(axes.lines[-1].get_xydata(), np.stack(law, 1))
        assert axes.lines[-1].is_dashed()
        assert max(axes.get_ylim()) < 10, "a pole must not flatten the rest"
    assert beside.get_ylabel().endswith("density")
    assert up.get_ylabel() == "weight"
    assert legend_texts(figure) == ["minimiser x", "maximiser y", "known density"]


@pytest.mark.parametrize("count", [1, 5])
def test_panels_of_strategies_do_not_overlap(count):
    panels = [
        MixedPanel(f"a game of a long name, number {k}", THREE, THREE, THREE, None, (-1.0, 1.0)) for k in range(count)
    ]
    figure = mixed_strategies(panels, "Title")
    drawn(figure)
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_particles_outside_the_domain_are_counted():
    found = Atoms(np.array([0.0, 5.0, -7.0]), np.array([0.5, 0.25, 0.25]))
    figure = mixed_strategies([MixedPanel("game", found, THREE, None, None, (-1.0, 1.0), "value 1")], "Title")
    drawn(figure)
    assert "value 1, 2 outside" in texts(figure)


def test_discs_in_the_plane_have_areas_proportional_to_weights_and_fill_the_rings_of_known_ones():
    at, weights = torch.tensor([[-0.6, -0.5], [0.7, -0.3], [0.0, 0.8]]), torch.tensor([0.5, 0.3, 0.2])
    found = Atoms(at.repeat(2, 1), weights.repeat(2) / 2)
    panel = PlanePanel("wells", found, found, Atoms(at, weights), None, (-1.0, 1.0, -1.0, 1.0), "value 0")
    figure = strategies_in_plane([panel, panel._replace(title="again")], "Title")
    drawn(figure)
    left, right = figure.axes[:2]
    discs, rings = left.collections
    np.testing.assert_allclose(discs.get_offsets(), at, rtol=1e-6)
    np.testing.assert_allclose(discs.get_sizes() / discs.get_sizes().sum(), weights, rtol=1e-5)
    np.testing.assert_allclose(rings.get_sizes(), discs.get_sizes(), rtol=1e-5)
    assert [line.get_marker() for line in left.lines] == ["*"]
    assert len(right.collections) == 1
    assert len(legend_texts(figure)) == 3


T = 2.0 ** np.arange(2, 12)


def rate_panel(title: str, **curves: np.ndarray) -> RatePanel:
    return RatePanel(title, [RateCurve(name, T, values) for name, values in curves.items()], [("-1/2", -0.5)], "gap")


def test_rates_draw_the_curves_and_reference_lines_of_the_slope_asked_for():
    slow, fast = 3 * T**-0.45, 2 / T
    band = (slow / 2, 2 * slow)
    curves = [RateCurve("slow", torch.from_numpy(T), torch.from_numpy(slow), band), RateCurve("fast", T, fast)]
    figure = rates([RatePanel("game", curves, [("-1/2", -0.5), ("-1", -1.0)], "gap")], "Title", "steps T")
    drawn(figure)
    (axes,) = figure.axes
    np.testing.assert_allclose(lines_named(axes, "slow")[0].get_xydata(), np.stack([T, slow], 1))
    assert axes.get_xscale() == axes.get_yscale() == "log"
    for label, exponent, nearest in (("_-1/2", -0.5, slow), ("_-1", -1.0, fast)):
        (line,) = lines_named(axes, label)
        assert line.is_dashed()
        x, y = line.get_data()
        np.testing.assert_allclose(np.polyfit(np.log(x), np.log(y), 1)[0], exponent)
        above = np.exp(np.interp(np.log(x), np.log(T), np.log(nearest)))
        assert (y > above).all()
        assert (y < 3 * above).all()
    assert len(axes.collections) == 1
    assert {"slow", "fast", "gap", "steps T", "\N{MINUS SIGN}1", "Title"} <= set(texts(figure))
    assert not figure.legends


def test_names_at_the_ends_of_close_lines_do_not_overlap():
    curves = {f"method {k}": (1 + k / 1000) / T for k in range(7)}
    figure = rates([rate_panel("game", **curves)], "Title", "steps")
    drawn(figure)
    names = [text for text in figure.axes[0].texts if text.get_text() in curves]
    boxes = [matplotlib.text.Text.get_window_extent(text) for text in names]
    assert len(boxes) == 7
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_panels_of_rates_share_one_legend_and_colours():
    panels = [rate_panel("one", a=1 / T, b=2 / T), rate_panel("two", b=3 / T), rate_panel("three", c=1 / T)]
    figure = rates(panels, "Title", "steps")
    drawn(figure)
    one, two, three = figure.axes
    assert lines_named(one, "b")[0].get_color() == lines_named(two, "b")[0].get_color() == METHOD_COLOURS[1]
    assert lines_named(three, "c")[0].get_color() == METHOD_COLOURS[2]
    assert legend_texts(figure) == ["a", "b", "c", "reference slope"]


def test_values_of_zero_stand_on_a_floor():
    values = np.array([1.0, 0.1, 0.0, 0.0, -1e-17, 0.01, np.nan, np.inf, 0.003, 0.0])
    figure = rates([rate_panel("game", a=values)], "Title", "steps")
    drawn(figure)
    (axes,) = figure.axes
    expected = np.where(np.isfinite(values), np.where(values > 0, values, 0.001), np.nan)
    np.testing.assert_allclose(lines_named(axes, "a")[0].get_ydata(), expected)
    (sunk,) = [line for line in axes.lines if line.get_marker() == "v"]
    np.testing.assert_allclose(sunk.get_xdata(), T[[2, 3, 4, 9]])
    assert "0 or less" in texts(figure)


def test_linear_axes_show_zero_as_zero_and_a_rate_as_a_straight_line_in_the_logarithm():
    steps = np.arange(40)
    curve = RateCurve("a", steps, 0.9**steps)
    for logy in (False, True):
        panel = RatePanel("game", [curve, RateCurve("b", steps, 0.0 * steps)], [("0.9^t", math.log(0.9))], "distance")
        figure = rates([panel], "Title", "steps", logx=False, logy=logy)
        drawn(figure)
        (axes,) = figure.axes
        (line,) = lines_named(axes, "_0.9^t")
        np.testing.assert_allclose(np.diff(np.log(line.get_ydata())) / np.diff(line.get_xdata()), math.log(0.9))
        assert (lines_named(axes, "b")[0].get_ydata() > 0).all() == logy
        assert ("0 or less" in texts(figure)) == logy


@pytest.mark.parametrize("values", [np.full(10, np.nan), np.zeros(10), np.full(10, 2.0)])
def test_rates_with_little_to_show_are_drawn(values):
    drawn(rates([rate_panel("game", a=values)], "Title", "steps"))


KINDS = np.array([[0, 2, 0], [5, 0, 2]])
TEXTS = [["C", "r1.41", "C"], ["hyperbola", "C0", "cycle"]]
NAMES = {0: "converges", 2: "cycles", 5: "stalls"}


def cells(figure) -> list[Rectangle]:
    return [one for one in figure.axes[0].patches if isinstance(one, Rectangle) and one.get_width() == 1]


@pytest.mark.parametrize("tensors", [False, True])
def test_every_cell_has_the_colour_of_its_kind_and_its_text(tensors):
    kinds = torch.from_numpy(KINDS) if tensors else KINDS
    figure = outcome_matrix(["xy", "Forsaken"], ["EG", "GDA", "PPM"], kinds, TEXTS, NAMES, None, "Title")
    drawn(figure)
    order = list(NAMES)
    for cell in cells(figure):
        column, row = (int(side) for side in cell.get_xy())
        assert to_hex(cell.get_facecolor()) == KIND_COLOURS[order.index(KINDS[row, column])]
    found = {tuple(text.get_position()): text.get_text() for text in figure.axes[0].texts}
    assert found == {(c + 0.5, r + 0.5): TEXTS[r][c] for r in range(2) for c in range(3)}
    assert legend_texts(figure) == list(NAMES.values())
    assert {"xy", "Forsaken", "EG", "GDA", "PPM", "Title"} <= set(texts(figure))


def test_cells_that_disagree_are_marked_and_counted():
    agreement = torch.tensor([[True, False, True], [True, True, False]])
    figure = outcome_matrix(["xy", "Forsaken"], ["EG", "GDA", "PPM"], KINDS, TEXTS, NAMES, agreement, "Title")
    drawn(figure)
    corners = [one.get_xy()[0] for one in figure.axes[0].patches if isinstance(one, Polygon)]
    assert [(int(x), int(y)) for x, y in corners] == [(1, 0), (2, 1)]
    assert "differs from the reference: 2 of 6" in legend_texts(figure)


def test_a_large_table_fits_and_its_texts_stay_in_their_cells():
    rows, columns = (
        [f"a game, start (1, -0.{k}), step 0.05" for k in range(17)],
        [f"Curvature method {k}" for k in range(12)],
    )
    kinds, words = np.zeros((17, 12), dtype=int), [["cyc .87"] * 12] * 17
    figure = outcome_matrix(rows, columns, kinds, words, {0: "cycles"}, None, "Title")
    drawn(figure)
    axes = figure.axes[0]
    width = axes.get_window_extent().width / 12
    assert max(text.get_window_extent().width for text in axes.texts) < width
    assert set(rows + columns) <= set(texts(figure))


def test_rates_of_success_are_dots_on_their_intervals():
    found, low, high = (
        np.array([[0.5, 0.96], [0.0, 1.0]]),
        np.array([[0.4, 0.86], [0.0, 0.93]]),
        np.array([[0.6, 0.99], [0.07, 1.0]]),
    )
    figure = success_bars(["near", "far"], ["GDA", "CP-MP"], found, low, high, "Title", 0.54, "trial")
    drawn(figure)
    for group, axes in enumerate(figure.axes):
        for method in range(2):
            bar, dot = [line for line in axes.lines if line.get_color() == METHOD_COLOURS[method]]
            np.testing.assert_allclose(bar.get_xdata(), [low[group, method], high[group, method]])
            np.testing.assert_allclose(dot.get_xdata(), found[group, method])
            assert list(dot.get_ydata()) == [method]
        assert [text.get_text() for text in axes.texts] == [f"{value:.0%}" for value in found[group]]
    assert legend_texts(figure) == ["rate and its interval", "trial"]
    assert {"near", "far", "GDA", "CP-MP"} <= set(texts(figure))


@pytest.mark.parametrize("groups", [1, 4])
def test_success_of_any_number_of_groups_is_drawn_without_a_baseline(groups):
    found = torch.full((groups, 5), 0.5)
    figure = success_bars([f"start {k}" for k in range(groups)], list("abcde"), found, found / 2, found * 2, "Title")
    drawn(figure)
    assert len(figure.axes) == groups
    assert legend_texts(figure) == ["rate and its interval"]


def test_strips_show_every_run_its_median_and_the_share_below_the_threshold():
    gaps = torch.tensor([[0.1, 0.02, 0.5, 0.004, 0.3], [1e-4, 0.0, -1e-9, torch.nan, torch.inf]])
    before = gaps.clone()
    figure = gap_strips(["GDA", "CP-MP"], gaps, 0.01, "Title")
    drawn(figure)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    full = [one for one in axes.lines if one.get_marker() == "o" and one.get_markerfacecolor() != "white"]
    np.testing.assert_allclose(full[0].get_xdata(), gaps[0], rtol=1e-6)
    np.testing.assert_allclose(full[1].get_xdata(), [1e-4], rtol=1e-6)
    (hollow,) = [one for one in axes.lines if one.get_markerfacecolor() == "white" and len(one.get_xdata()) == 4]
    np.testing.assert_allclose(hollow.get_xdata(), [1e-4 / 3, 1e-4 / 3, 1.5, 1.5], rtol=1e-5)
    medians = [one.get_xdata()[0] for one in axes.lines if one.get_linewidth() == 2.0]
    np.testing.assert_allclose(medians, [0.1, 1e-4], rtol=1e-6)
    assert {"20%", "60%", "below 0.01", "0 or less", "not finite", "5 runs each"} <= set(texts(figure))
    assert torch.equal(gaps.nan_to_num(), before.nan_to_num())


def test_settings_of_matplotlib_are_left_alone_and_nothing_warns():
    before = dict(matplotlib.rcParams)
    half = np.full((1, 1), 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_png(field_trajectories([field_panel("xy", a=spiral(0.9))], "Title"))
        to_png(mixed_strategies([MixedPanel("game", THREE, THREE, None, None, (-1.0, 1.0))], "Title"))
        to_png(rates([rate_panel("game", a=1 / T)], "Title", "steps"))
        to_png(outcome_matrix(["a"], ["b"], np.zeros((1, 1), dtype=int), [["C"]], {0: "converges"}, None, "Title"))
        to_png(success_bars(["a"], ["b"], half, half, half, "Title"))
        to_png(gap_strips(["a"], half, 0.1, "Title"))
    assert dict(matplotlib.rcParams) == before


def test_impossible_trajectories_and_strategies_are_refused_in_sentences(no_shape_checks):
    panel = field_panel("xy", a=spiral(0.9))
    for wrong, message in [
        ([], "at least one panel, found none"),
        ([panel._replace(trajectories=[])], "Expected 1 to 24 methods in a figure, found 0"),
        ([panel._replace(limits=(1.0, -1.0, 0.0, 1.0))], "xmin < xmax and ymin < ymax, found"),
        ([panel._replace(field=np.zeros((5, 4)))], r"field of xy of shape \[H, W, 2\], found \[5, 4\]"),
        ([panel._replace(field=np.zeros((1, 4, 2)))], "at least 2 x 2 points"),
        ([panel._replace(equilibria=np.zeros(2))], r"equilibria of xy of shape \[n, 2\], found \[2\]"),
        ([field_panel("xy", a=spiral(0.9).T)], r"points of a of shape \[T, 2\], found \[2, 60\]"),
        ([field_panel("xy", a=spiral(0.9)[:0])], "trajectory of a needs at least its start"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            field_trajectories(wrong, "Title")
    with pytest.raises(InvalidInputError, match="at least one column, found 0"):
        field_trajectories([panel], "Title", 0)
    game = MixedPanel("game", THREE, THREE, None, None, (-1.0, 1.0))
    for wrong, message in [
        ([], "at least one panel, found none"),
        ([game._replace(domain=(1.0, 1.0))], "low < high, found"),
        ([game._replace(minimiser=Atoms(torch.zeros(3), torch.ones(3)))], "minimiser x of game to be probabilities"),
        ([game._replace(maximiser=Atoms(torch.zeros(3, 2), THREE.weights))], r"shape \[K\], found \[3, 2\]"),
        (
            [game._replace(maximiser=Atoms(torch.full((3,), torch.nan), THREE.weights))],
            "finite positions of maximiser y",
        ),
        ([game._replace(known_minimiser=Density(torch.zeros(3), torch.ones(3)))], "at increasing positions"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            mixed_strategies(wrong, "Title")
    with pytest.raises(InvalidInputError, match="at least one panel, found none"):
        strategies_in_plane([], "Title")
    with pytest.raises(InvalidInputError, match=r"shape \[K, 2\], found \[3\]"):
        strategies_in_plane([PlanePanel("game", THREE, THREE, None, None, WINDOW)], "Title")


def test_impossible_rates_and_outcomes_are_refused_in_sentences(no_shape_checks):
    with pytest.raises(InvalidInputError, match="at least one panel, found none"):
        rates([], "Title", "steps")
    with pytest.raises(InvalidInputError, match=r"values of a in game of shape \[10\], found \[9\]"):
        rates([rate_panel("game", a=T[1:])], "Title", "steps")
    with pytest.raises(InvalidInputError, match=r"a side of the spread of a of shape \[10\], found \[3\]"):
        rates([RatePanel("game", [RateCurve("a", T, T, (T[:3], T))], [], "gap")], "Title", "steps")
    table = (["r", "s"], ["a", "b", "c"])
    with pytest.raises(InvalidInputError, match="at least one cell, found 0 x 3"):
        outcome_matrix([], table[1], KINDS[:0], [], NAMES, None, "Title")
    with pytest.raises(InvalidInputError, match="Every kind of outcome needs a name; these have none: 2, 5"):
        outcome_matrix(*table, KINDS, TEXTS, {0: "converges"}, None, "Title")
    with pytest.raises(InvalidInputError, match="Expected 1 to 7 kinds, found 8"):
        outcome_matrix(*table, KINDS, TEXTS, dict.fromkeys(range(8), "kind"), None, "Title")
    with pytest.raises(InvalidInputError, match=r"texts for 2 x 3 cells, found 2 rows of \[1, 3\]"):
        outcome_matrix(*table, KINDS, [["C"], TEXTS[1]], NAMES, None, "Title")
    with pytest.raises(InvalidInputError, match=r"agreement of shape \[2, 3\], found \[3, 2\]"):
        outcome_matrix(*table, KINDS, TEXTS, NAMES, np.ones((3, 2), dtype=bool), "Title")
    with pytest.raises(InvalidInputError, match="Expected integers as kinds of outcomes, found float64"):
        outcome_matrix(*table, KINDS + 0.5, TEXTS, NAMES, None, "Title")
    half = np.full((1, 2), 0.5)
    with pytest.raises(InvalidInputError, match="Expected 0 <= low <= rate <= high <= 1"):
        success_bars(["g"], ["a", "b"], half, half + 0.1, half, "Title")
    with pytest.raises(InvalidInputError, match="every method once"):
        success_bars(["g"], ["a", "a"], half, half, half, "Title")
    with pytest.raises(InvalidInputError, match="at least one group, found none"):
        success_bars([], ["a", "b"], half[:0], half[:0], half[:0], "Title")
    with pytest.raises(InvalidInputError, match=r"cannot show the threshold 0\.0"):
        gap_strips(["a"], half, 0.0, "Title")
    with pytest.raises(InvalidInputError, match=r"errors of shape \[2, n\], found \[1, 2\]"):
        gap_strips(["a", "b"], half, 0.1, "Title")
    with pytest.raises(InvalidInputError, match="at least one run"):
        gap_strips(["a"], half[:, :0], 0.1, "Title")
