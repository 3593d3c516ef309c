import matplotlib.colors
import numpy as np
import pytest
import torch
from drawing import drawn, texts

from mixnash.core.errors import InvalidInputError
from mixnash.figures.image_modes import class_histogram, particle_classes, stacked_modes
from mixnash.figures.style import ACCENT, WARNING

DIGITS = [str(digit) for digit in range(10)]
CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def bars(figure):
    """Heights by colour."""
    shown = {}
    for patch in figure.axes[0].patches:
        if isinstance(patch, matplotlib.patches.Rectangle):
            shown.setdefault(matplotlib.colors.to_hex(patch.get_facecolor()), []).append(patch.get_height())
    return shown


def test_bars_are_shares_and_those_beyond_the_band_are_marked():
    # Data: 1/2, 1/4, 1/4 of 400; n = 200 samples. sd = sqrt(e (1 - e) (1/200 + 1/400)) = 0.0433, 0.0375, 0.0375.
    figure = class_histogram(np.array([120, 64, 16]), torch.tensor([200, 100, 100]), ["a", "b", "c"], "Classes")
    drawn(figure)
    shown = bars(figure)
    np.testing.assert_allclose(shown[WARNING], [0.6, 0, 0.08])
    np.testing.assert_allclose(shown[ACCENT], [0, 0.32, 0])
    assert "1 of 3 classes within 2 sd; 200 generated against 400 of the data" in texts(figure)
    steps = [patch for patch in figure.axes[0].patches if isinstance(patch, matplotlib.patches.StepPatch)]
    band, mean = (patch.get_data() for patch in steps)
    np.testing.assert_allclose(mean.values, [0.5, 0.25, 0.25])
    np.testing.assert_allclose(band.values - mean.values, [2 * 0.0433013, 2 * 0.0375, 2 * 0.0375], rtol=1e-5)
    np.testing.assert_allclose(band.values + band.baseline, 2 * mean.values)


@pytest.mark.parametrize("names", [DIGITS, CIFAR, [f"{c}{d}" for c in "RGB" for d in DIGITS], ["x"], ["c"] * 200])
def test_names_are_below_their_bars_where_they_fit(names):
    figure = class_histogram(np.arange(1, len(names) + 1), np.ones(len(names)), names, "Classes")
    drawn(figure)
    labels = [label for label in figure.axes[0].get_xticklabels() if label.get_text()]
    boxes = [label.get_window_extent() for label in labels]
    assert all(box.count_overlaps(boxes[:place]) == 0 for place, box in enumerate(boxes))
    if len(names) <= 30:
        assert [label.get_text() for label in labels] == names


def test_each_row_of_the_particles_is_its_own_shares():
    found = torch.tensor([[3, 1, 0], [0, 0, 0], [0, 0, 50]])
    figure = particle_classes(found, np.array([0.25, 0.25, 0.5]), ["a", "b", "c"], "Who serves what")
    drawn(figure)
    main, beside = figure.axes[:2]
    values = main.images[0].get_array()
    assert values.shape[0] % 3 == values.shape[1] % 3 == 0
    cells = values.reshape(3, values.shape[0] // 3, 3, values.shape[1] // 3)
    np.testing.assert_allclose(cells[0, 0, :, 0], [0.75, 0.25, 0.0])
    np.testing.assert_allclose(cells[2, -1, :, -1], [0.0, 0.0, 1.0])
    assert cells[1].mask.all(), "a particle without samples has no shares"
    assert [text.get_text() for text in main.texts] == ["75", "25", "100"]
    np.testing.assert_allclose([patch.get_width() for patch in beside.patches], [0.25, 0.25, 0.5])
    assert main.get_ylim() == beside.get_ylim() == (2.5, -0.5)


@pytest.mark.parametrize(("particles", "classes"), [(64, 10), (16, 30), (3, 100), (1, 1)])
def test_any_number_of_particles_and_classes_fits(particles, classes):
    found = np.arange(particles * classes).reshape(particles, classes) + 1
    drawn(particle_classes(found, np.full(particles, 1 / particles), [str(c) for c in range(classes)], "Classes"))


def test_stacked_modes_are_counted_and_stand_at_their_digits():
    samples = np.zeros(1000)
    samples[[0, 7, 470, 999]] = [4, 30, 1, 1000]  # red, green, blue: 000, 007, 470, 999
    figure = stacked_modes(torch.as_tensor(samples), "Stacked digits")
    drawn(figure)
    assert "Stacked digits: 4 of 1,000 modes in 1,035 samples" in [text.replace("\n", " ") for text in texts(figure)]
    panels = figure.axes[:10]
    notes = [panel.get_title(loc="left") for panel in panels]
    assert notes[0] == "red 0, 98 missing"
    assert notes[1] == "red 1, 100 missing"
    counted = np.zeros((10, 10, 10))
    for digit, panel in enumerate(panels):
        image = panel.images[0]
        assert list(image.get_extent()) == [-0.5, 9.5, 9.5, -0.5]
        counted[digit] = image.get_array().filled(0)
    assert np.array_equal(counted.reshape(-1), samples)
    assert [panel.get_xlabel() for panel in panels] == [""] * 5 + ["blue digit"] * 5
    assert [panel.get_ylabel() for panel in panels] == (["green digit"] + [""] * 4) * 2


@pytest.mark.parametrize("top", [0, 26_000])
def test_stacked_modes_of_any_number_can_be_drawn(top):
    samples = np.zeros(1000)
    samples[5] = top
    drawn(stacked_modes(samples, ""))


def test_impossible_classes_are_refused_in_sentences(no_shape_checks):
    ones = np.ones(3)
    with pytest.raises(InvalidInputError, match="3 classes need as many names, found 2"):
        class_histogram(ones, ones, ["a", "b"], "")
    with pytest.raises(InvalidInputError, match=r"images of classes of shape \[3\], found \[2\]"):
        class_histogram(ones, ones[:2], ["a", "b", "c"], "")
    with pytest.raises(InvalidInputError, match="need samples and images, found 3 and 0"):
        class_histogram(ones, 0 * ones, ["a", "b", "c"], "")
    with pytest.raises(InvalidInputError, match="samples of classes to be finite and at least 0"):
        class_histogram(-ones, ones, ["a", "b", "c"], "")
    with pytest.raises(InvalidInputError, match="weights of particles to be probabilities"):
        particle_classes(np.ones((2, 3)), np.ones(2), ["a", "b", "c"], "")
    with pytest.raises(InvalidInputError, match="3 classes need as many names, found 1"):
        particle_classes(np.ones((2, 3)), np.ones(2) / 2, ["a"], "")
    with pytest.raises(InvalidInputError, match=r"samples of modes of shape \[1000\], found \[100\]"):
        stacked_modes(np.ones(100), "")
