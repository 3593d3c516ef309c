import numpy as np
import pytest
import torch
from drawing import drawn, texts

from mixnash.core.errors import InvalidInputError
from mixnash.figures.curves import metric_curves

X = torch.arange(0, 40001, 400)


def decay(scale: float) -> torch.Tensor:
    return 0.1 + torch.exp(-X / scale)


@pytest.mark.parametrize("log", [False, True])
def test_lines_bands_and_reference_show_what_was_given(log):
    curves = {"ours": (X, decay(4000.0)), "theirs": (X[::2], decay(9000.0)[::2])}
    bands = {"theirs": (X, decay(9000.0) - 0.05, decay(9000.0) + 0.05)}
    before = X.clone(), curves["ours"][1].clone()
    figure = metric_curves(
        curves, "updates", "distance", "Title", reference=0.1, reference_label="floor", bands=bands, log=log
    )
    drawn(figure)
    axes = figure.axes[0]
    ours, theirs, floor = axes.lines
    np.testing.assert_allclose(ours.get_ydata(), decay(4000.0), rtol=1e-6)
    np.testing.assert_array_equal(theirs.get_xdata(), X[::2])
    assert list(floor.get_ydata()) == [0.1, 0.1]
    assert len(axes.collections) == 1
    np.testing.assert_allclose(axes.collections[0].get_facecolor()[0, :3], theirs.get_color())
    assert axes.get_yscale() == ("log" if log else "linear")
    assert {"ours", "theirs", "floor", "updates", "distance", "Title"} <= set(texts(figure))
    assert torch.equal(X, before[0])
    assert torch.equal(curves["ours"][1], before[1])


@pytest.mark.parametrize("count", [1, 3, 30, 64])
def test_every_curve_has_its_own_colour(count):
    curves = {f"particle {k}": (X, decay(1000.0 * (k + 1))) for k in range(count)}
    figure = metric_curves(curves, "updates", "loss", "Curves")
    drawn(figure)
    assert len({tuple(line.get_color()) for line in figure.axes[0].lines}) == count
    assert set(curves) <= set(texts(figure))


@pytest.mark.parametrize("log", [False, True])
def test_values_that_cannot_be_shown_leave_gaps(log):
    y = np.array([1.0, np.nan, np.inf, -2.0, 0.0, 3.0])
    figure = metric_curves({"a": (np.arange(6), y)}, "x", "y", "Gaps", log=log)
    drawn(figure)
    shown = np.isfinite(figure.axes[0].lines[0].get_ydata())
    assert shown.tolist() == (
        [True, False, False, False, False, True] if log else [True, False, False, True, True, True]
    )


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("y", [[], [np.nan, np.nan], [-1.0, np.nan], [5.0], [2.0, 2.0, 2.0]])
def test_curves_with_little_or_nothing_to_show_are_drawn(y, log):
    figure = metric_curves({"a": (np.arange(len(y)), np.array(y))}, "x", "y", "Little", log=log)
    drawn(figure)
    nothing = not any(value > 0 if log else np.isfinite(value) for value in y)
    assert (("no positive value" if log else "no finite value") in texts(figure)) == nothing


def test_a_band_that_reaches_zero_does_not_stretch_a_logarithmic_axis():
    band = {"a": (X, torch.full(X.shape, 1e-12), decay(4000.0) + 1)}
    figure = metric_curves({"a": (X, decay(4000.0))}, "x", "y", "Band", bands=band, log=True)
    drawn(figure)
    low, high = figure.axes[0].get_ylim()
    assert 0.05 < low < 0.1
    assert high > 2.1


def test_few_points_are_marked_and_many_are_not():
    figure = metric_curves({"few": (X[:5], X[:5]), "many": (X, X)}, "x", "y", "Marks")
    few, many = figure.axes[0].lines
    assert few.get_marker() == "o"
    assert many.get_marker() in ("", "None")


def test_impossible_inputs_are_refused_in_sentences(no_shape_checks):
    with pytest.raises(InvalidInputError, match="at least one curve"):
        metric_curves({}, "x", "y", "")
    with pytest.raises(InvalidInputError, match=r"y of ours of shape \[101\], found \[100\]"):
        metric_curves({"ours": (X, X[1:])}, "x", "y", "")
    with pytest.raises(InvalidInputError, match=r"a side of the band of ours of shape \[50\], found \[101\]"):
        metric_curves({"ours": (X, X)}, "x", "y", "", bands={"ours": (X[:50], X[:50], X)})
    with pytest.raises(InvalidInputError, match="these have none: b, c"):
        metric_curves({"a": (X, X)}, "x", "y", "", bands={"c": (X, X, X), "b": (X, X, X)})
    with pytest.raises(InvalidInputError, match=r"cannot show the reference -0\.5"):
        metric_curves({"a": (X, X)}, "x", "y", "", reference=-0.5, log=True)
