import numpy as np
import pytest
import torch
from drawing import drawn, texts

from mixnash.core.errors import InvalidInputError
from mixnash.figures.neighbours import neighbour_rows


def shades(*shape, height=8, width=8, channels=1):
    """Images of one shade each, all different."""
    count = int(np.prod(shape))
    values = torch.linspace(-1, 1, count).reshape(*shape, 1, 1, 1)
    return values.expand(*shape, channels, height, width)


def tiles(figure):
    """What is drawn and where, image by image: pixels and (left, right, bottom, top)."""
    return [(np.asarray(image.get_array()), image.get_extent()) for image in figure.axes[0].images]


def test_a_row_is_the_image_and_then_its_neighbours_with_their_distances():
    images = shades(3, 4)
    distances = np.array([[0.25, 1.5, 20.0], [1.0, 2.0, np.inf], [0.0, 3.25, 4.0]])
    figure = neighbour_rows(images[:, 0], images[:, 1:], distances, ["a", "b", "c"], "Copies")
    drawn(figure)
    found = tiles(figure)
    assert len(found) == 12
    for (pixels, _), expected in zip(found, images.flatten(0, 1), strict=True):
        np.testing.assert_allclose(pixels, (expected.permute(1, 2, 0).expand(8, 8, 3) + 1) / 2, atol=1e-6)
    lefts = np.array([box[0] for _, box in found]).reshape(3, 4)
    tops = np.array([box[3] for _, box in found]).reshape(3, 4)
    assert (np.diff(lefts, axis=1) > 0).all()
    assert (lefts == lefts[0]).all()
    assert (tops == tops[:, :1]).all()
    steps = np.diff(lefts[0])
    assert steps[0] > steps[1] == steps[2], "the generated image stands apart"
    below = [text for text in texts(figure) if text not in ("a", "b", "c", "Copies")]
    assert below[2:] == ["0.250", "1.50", "20.0", "1.00", "2.00", "inf", "0.00", "3.25", "4.00"]
    assert below[:2] == ["generated", "nearest, with distances"]


def test_small_images_are_enlarged_by_a_whole_factor():
    figure = neighbour_rows(shades(2), shades(2, 5), np.ones((2, 5)), ["a", "b"], "")
    for _, (left, right, bottom, top) in tiles(figure):
        assert right - left == bottom - top == 80
        assert left == int(left)
        assert top == int(top)


@pytest.mark.parametrize(
    ("rows", "k", "channels", "height", "width"),
    [(8, 8, 1, 8, 8), (8, 8, 3, 32, 32), (6, 10, 1, 28, 28), (4, 12, 3, 128, 128), (1, 1, 1, 1, 1), (3, 3, 1, 20, 60)],
)
def test_rows_of_any_size_fit_the_screen_without_overlap(rows, k, channels, height, width):
    images = shades(rows, height=height, width=width, channels=channels)
    near = shades(rows, k, height=height, width=width, channels=channels)
    labels = [f"close, particle {row}" for row in range(rows)]
    figure = neighbour_rows(images, near, np.full((rows, k), 123.456), labels, "A title that is quite a bit longer")
    drawn(figure)
    boxes = [text.get_window_extent() for text in figure.axes[0].texts] + [figure._suptitle.get_window_extent()]
    for place, box in enumerate(boxes):
        assert box.count_overlaps(boxes[:place]) == 0


def test_impossible_inputs_are_refused_in_sentences(no_shape_checks):
    images, near, away = shades(2), shades(2, 3), np.ones((2, 3))
    with pytest.raises(InvalidInputError, match=r"neighbours of shape \[2, k, 1, 8, 8\], found \[3, 3, 1, 8, 8\]"):
        neighbour_rows(images, shades(3, 3), away, ["a", "b"], "")
    with pytest.raises(InvalidInputError, match=r"distances of neighbours of shape \[2, 3\], found \[2, 2\]"):
        neighbour_rows(images, near, away[:, :2], ["a", "b"], "")
    with pytest.raises(InvalidInputError, match="at least 0, found -1"):
        neighbour_rows(images, near, -away, ["a", "b"], "")
    with pytest.raises(InvalidInputError, match="From 1 to 12 neighbours can be shown beside an image, found 13"):
        neighbour_rows(images, shades(2, 13), np.ones((2, 13)), ["a", "b"], "")
    with pytest.raises(InvalidInputError, match="2 rows of images need as many labels, found 1"):
        neighbour_rows(images, near, away, ["a"], "")
    with pytest.raises(InvalidInputError, match="1 or 3 channels, found 2"):
        neighbour_rows(shades(2, channels=2), shades(2, 3, channels=2), away, ["a", "b"], "")
    with pytest.raises(InvalidInputError, match="at least one image"):
        neighbour_rows(images[:0], near[:0], away[:0], [], "")
