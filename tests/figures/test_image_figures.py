import numpy as np
import pytest
import torch
from drawing import drawn, texts

from mixnash.core.errors import InvalidInputError
from mixnash.figures.images import channels_apart, image_grid, image_rows


def noise(*shape: int) -> torch.Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape))) - 1


def test_every_pixel_of_an_enlarged_image_is_exact():
    images = noise(6, 3, 8, 5)
    before = images.clone()
    figure = image_grid(images, 4, "Images")
    pixels = drawn(figure)
    box = figure.axes[0].get_window_extent()
    frame = pixels[pixels.shape[0] - round(box.y1) : pixels.shape[0] - round(box.y0), round(box.x0) : round(box.x1)]
    factor = 112 // 8
    down, along = 8 * factor + 2, 5 * factor + 2
    assert frame.shape == (2 * down + 2, 4 * along + 2, 3)
    for place, image in enumerate(images):
        y, x = (place // 4) * down + 2, (place % 4) * along + 2
        tile = frame[y : y + 8 * factor, x : x + 5 * factor].astype(float)
        expected = (255 * (image.permute(1, 2, 0) + 1) / 2).numpy().repeat(factor, 0).repeat(factor, 1)
        np.testing.assert_allclose(tile, expected, atol=1)
    np.testing.assert_allclose(frame[:, :2].astype(float), 0.85 * 255, atol=1, err_msg="separators are pale grey")
    assert (frame[down + 2 : 2 * down, 2 * along + 2 : 3 * along] == 255).all(), "no image is white"
    assert torch.equal(images, before)


@pytest.mark.parametrize(
    ("shape", "columns"),
    [
        ((1, 1, 8, 8), 8),
        ((64, 1, 8, 8), 8),
        ((100, 1, 28, 28), 20),
        ((7, 3, 32, 32), 4),
        ((30, 3, 128, 128), 10),
        ((2, 1, 1, 1), 1),
        ((40, 1, 20, 30), 40),
    ],
)
def test_grids_of_any_size_fit_the_screen(shape, columns):
    drawn(image_grid(noise(*shape), columns, "A title that may well be longer than the grid of images below it is"))


def test_values_outside_are_clipped_and_not_finite_ones_pink():
    image = torch.tensor([[[[-5.0, 5.0], [torch.nan, torch.inf]]]])
    figure = image_grid(image, 1, "")
    pixels = drawn(figure)
    box = figure.axes[0].get_window_extent()
    middle_x, middle_y = int((box.x0 + box.x1) / 2), pixels.shape[0] - int((box.y0 + box.y1) / 2)
    assert (pixels[middle_y - 20, middle_x - 20] == 0).all()
    assert (pixels[middle_y - 20, middle_x + 20] == 255).all()
    for side in (-20, 20):
        red, green, blue = pixels[middle_y + 20, middle_x + side].astype(int)
        assert red > 200 > blue + 50 > green


@pytest.mark.parametrize(("rows", "across", "size"), [(1, 1, 8), (8, 10, 8), (25, 10, 28), (64, 4, 8), (3, 12, 64)])
def test_rows_have_their_labels_at_their_height(rows, across, size):
    labels = [f"generator {k}" for k in range(rows)]
    figure = image_rows(noise(rows, across, 1, size, size), labels, "Rows")
    drawn(figure)
    box = figure.axes[0].get_window_extent()
    for row, text in enumerate(text for text in figure.texts if text.get_text() != "Rows"):
        place = text.get_window_extent()
        assert text.get_text() == labels[row]
        assert place.x1 < box.x0
        assert (place.y0 + place.y1) / 2 == pytest.approx(box.y1 - box.height * (row + 0.5) / rows, abs=2)
    assert set(labels) <= set(texts(figure))


def test_tall_rows_of_large_images_fit_the_screen():
    drawn(image_rows(noise(17, 2, 3, 128, 128), [f"particle {k}" for k in range(17)], "Rows"))


def test_channels_that_no_screen_has_stand_side_by_side():
    images = noise(4, 2, 3, 5)
    apart = channels_apart(images)
    assert apart.shape == (4, 1, 3, 10)
    np.testing.assert_array_equal(apart[:, 0, :, :5], images[:, 0])
    np.testing.assert_array_equal(apart[:, 0, :, 5:], images[:, 1])
    for channels in (1, 3):
        same = noise(2, channels, 4, 4)
        np.testing.assert_array_equal(channels_apart(same), same)


def test_rows_are_particles():
    images = torch.stack([torch.full((2, 1, 4, 4), value) for value in (-1.0, 0.0, 1.0)])
    figure = image_rows(images, ["a", "b", "c"], "")
    pixels = drawn(figure)
    box = figure.axes[0].get_window_extent()
    x = int(box.x0 + box.width / 4)
    heights = [pixels.shape[0] - int(box.y1 - box.height * (row + 0.5) / 3) for row in range(3)]
    np.testing.assert_allclose(pixels[heights, x, 0], [0, 127, 255], atol=1)


def test_impossible_inputs_are_refused_in_sentences(no_shape_checks):
    with pytest.raises(InvalidInputError, match=r"images of shape \[n, C, H, W\], found \[8, 8\]"):
        image_grid(noise(8, 8), 2, "")
    with pytest.raises(InvalidInputError, match="at least one image"):
        image_grid(torch.zeros(0, 1, 8, 8), 2, "")
    with pytest.raises(InvalidInputError, match="1 or 3 channels, found 2"):
        image_grid(noise(4, 2, 8, 8), 2, "")
    with pytest.raises(InvalidInputError, match="at least one column, found 0"):
        image_grid(noise(4, 1, 8, 8), 0, "")
    with pytest.raises(InvalidInputError, match=r"rows of images of shape \[R, n, C, H, W\]"):
        image_rows(noise(4, 1, 8, 8), ["a"], "")
    with pytest.raises(InvalidInputError, match="4 rows of images need as many labels, found 1"):
        image_rows(noise(4, 2, 1, 8, 8), ["a"], "")
