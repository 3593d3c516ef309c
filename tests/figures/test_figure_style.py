import io
import warnings

import matplotlib
import matplotlib.image
import numpy as np
import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.figures.arrays import counts, indices, numbers, probabilities
from mixnash.figures.encode import to_png, to_rgb
from mixnash.figures.style import index_ticks, new_figure, particle_colours, wrap


def oklab(srgb: np.ndarray) -> np.ndarray:
    """The inverse direction of the transform in `style`, with Ottosson's rounded inverse matrices."""
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
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
    return np.cbrt(linear @ np.array(to_cones).T) @ np.array(to_lab).T


def distances(count: int) -> np.ndarray:
    lab = oklab(particle_colours(count))
    return np.linalg.norm(lab[:, None] - lab, axis=-1) + 9 * np.eye(count)


@pytest.mark.parametrize("count", range(2, 65))
def test_any_two_particles_have_visibly_different_colours(count):
    assert distances(count).min() > (0.065 if count <= 26 else 0.027)


@pytest.mark.parametrize("count", [2, 5, 9, 25, 33, 41, 64])
def test_neighbours_differ_strongly_also_from_the_last_to_the_first(count):
    away = distances(count)
    assert min(away[k, (k + 1) % count] for k in range(count)) > 0.12


def test_colours_are_srgb_and_have_the_lightness_asked_for():
    colours = particle_colours(64)
    assert colours.shape == (64, 3)
    assert colours.min() >= 0
    assert colours.max() <= 1
    np.testing.assert_allclose(oklab(colours)[:4, 0], [0.42, 0.55, 0.68, 0.81], atol=0.01)
    assert particle_colours(0).shape == (0, 3)


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [
        (1, 2, [0]),
        (5, 13, [0, 1, 2, 3, 4]),
        (14, 13, [0, 2, 4, 6, 8, 10, 12]),
        (64, 13, list(range(0, 64, 5))),
        (1000, 15, list(range(0, 1000, 100))),
    ],
)
def test_index_ticks_are_whole_and_few(count, most, expected):
    assert list(index_ticks(count, most)()) == expected


def test_long_titles_are_wrapped_to_the_width_without_losing_words():
    title = "Mirror-Langevin on twenty-five Gaussians with twenty-five generators and five critics, seed 3"
    lines = wrap(title, 4.0).split("\n")
    assert " ".join(lines) == title
    assert len(lines) > 1
    figure = new_figure(4.0, 2.0, title)
    text = figure.texts[0] if figure.texts else figure._suptitle
    assert text.get_window_extent().x1 <= 4.0 * figure.dpi


def test_png_decodes_at_the_resolution_asked_for():
    figure = new_figure(3.0, 2.0, "a")
    assert matplotlib.image.imread(io.BytesIO(to_png(figure, dpi=50))).shape == (100, 150, 4)
    assert matplotlib.image.imread(io.BytesIO(to_png(figure))).shape == (220, 330, 4)


def test_rgb_equals_the_png():
    figure = new_figure(3.0, 2.0, "some text")
    pixels = to_rgb(figure)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (220, 330, 3)
    decoded = matplotlib.image.imread(io.BytesIO(to_png(figure)))
    np.testing.assert_array_equal(pixels, np.round(255 * decoded[..., :3]))
    assert pixels.min() < 100 < pixels.max()


def test_png_of_no_resolution_is_refused():
    with pytest.raises(InvalidInputError, match="positive number of pixels per inch, found 0"):
        to_png(new_figure(1.0, 1.0, ""), dpi=0)


def test_settings_of_matplotlib_are_left_alone():
    before = dict(matplotlib.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_rgb(new_figure(2.0, 2.0, "title"))
    assert dict(matplotlib.rcParams) == before


def test_numbers_takes_tensors_of_any_precision_that_require_gradients():
    values = torch.tensor([[1.5, 2.5]], dtype=torch.bfloat16, requires_grad=True)
    found = numbers(values, "samples", "n", 2)
    assert found.dtype == np.float64
    assert found.tolist() == [[1.5, 2.5]]


@pytest.mark.parametrize("values", [np.arange(3.0), torch.arange(3.0, dtype=torch.float64)])
def test_numbers_copies(values):
    numbers(values, "x", 3)[:] = -1
    assert values.tolist() == [0, 1, 2]


def test_impossible_arrays_are_refused_in_sentences():
    with pytest.raises(InvalidInputError, match=r"Expected samples of shape \[n, 2\], found \[4, 3\]"):
        numbers(np.zeros((4, 3)), "samples", "n", 2)
    with pytest.raises(InvalidInputError, match=r"Expected owners of shape \[5\], found \[4\]"):
        indices(np.zeros(4), "owners", 5, None)
    with pytest.raises(InvalidInputError, match="Expected integers as owners, found float64"):
        indices(np.array([0.5]), "owners", 1, None)
    with pytest.raises(InvalidInputError, match="Expected integers as owners"):
        indices(np.array([np.nan]), "owners", 1, None)
    with pytest.raises(InvalidInputError, match=r"owners in \[0, 3\), found values in \[0, 3\]"):
        indices(np.array([1, 3]), "owners", 2, 3)
    with pytest.raises(InvalidInputError, match=r"owners in \[0, 2\), found values in \[-1, 1\]"):
        indices(np.array([1, -1]), "owners", 2, None)
    for wrong in ([0.5, 0.4], [1.5, -0.5], [np.nan, 1.0], []):
        with pytest.raises(InvalidInputError, match=f"probabilities that sum to 1, found {len(wrong)}"):
            probabilities(np.array(wrong), "weights", "K")
    for wrong in ([1, -1], [np.inf, 1]):
        with pytest.raises(InvalidInputError, match="finite and at least 0, found values in"):
            counts(np.array(wrong), "samples", "M")
    with pytest.raises(InvalidInputError, match="at least one entry in samples"):
        counts(np.zeros((0, 3)), "samples", "K", "M")


def test_bound_of_indices_is_the_largest_plus_one_and_at_least_one():
    assert indices(np.array([0, 4]), "owners", 2, None)[1] == 5
    assert indices(np.array([0, 4]), "owners", 2, 9)[1] == 9
    assert indices(np.array([], dtype=int), "owners", 0, None)[1] == 1
