"""Augmentations against numbers by hand and plain loops."""

import itertools

import pytest
import torch

from mixnash.core.augmentations.base import drawn_index
from mixnash.core.augmentations.colour import Colour
from mixnash.core.augmentations.composed import Composed
from mixnash.core.augmentations.cutout import Cutout
from mixnash.core.augmentations.translation import Translation
from mixnash.core.errors import InvalidInputError
from problems import DOUBLE, make_rng, normal


def uniforms(*numbers):
    return torch.tensor(numbers, dtype=DOUBLE)


# ---------------------------------------------------------------------- colour


def test_draws_of_one_half_leave_colours_and_places_as_they_are():
    images = normal(4, 3, 5, 6)
    for augmentation in (Colour(), Translation(0.3)):
        draws = torch.full((4, augmentation.draws), 0.5, dtype=DOUBLE)
        torch.testing.assert_close(augmentation(images, draws), images)


def test_brightness_adds_its_draw_less_one_half():
    images = normal(3, 5, 6)
    torch.testing.assert_close(Colour()(images, uniforms(0.9, 0.5, 0.5)), images + 0.4)


def test_saturation_scales_what_distinguishes_channels_and_keeps_each_pixels_mean():
    images = normal(3, 5, 6)
    changed = Colour()(images, uniforms(0.5, 0.2, 0.5))
    torch.testing.assert_close(changed.mean(0), images.mean(0))
    torch.testing.assert_close(changed[2] - changed[0], 0.4 * (images[2] - images[0]))
    grey = Colour()(images, uniforms(0.5, 0.0, 0.5))
    torch.testing.assert_close(grey, images.mean(0, keepdim=True).expand(3, 5, 6))
    torch.testing.assert_close(Colour()(images[:1], uniforms(0.5, 0.9, 0.5)), images[:1])


def test_contrast_scales_what_differs_from_the_images_mean():
    images = normal(3, 5, 6)
    changed = Colour()(images, uniforms(0.5, 0.5, 0.8))
    torch.testing.assert_close(changed.mean(), images.mean())
    torch.testing.assert_close(changed - images.mean(), 1.3 * (images - images.mean()))


def test_colours_change_in_the_order_brightness_saturation_contrast_by_hand():
    # Two channels of one row: (1, 3) and (3, -3); brightness + 0.25: (1.25, 3.25), (3.25, -2.75); pixel means 2.25 and
    # 0.25, differences -1, 3 and 1, -3, times 0.5: (1.75, 1.75), (2.75, -1.25); mean 1.25, differences times 1.25.
    images = uniforms(1.0, 3.0, 3.0, -3.0).reshape(2, 1, 2)
    changed = Colour()(images, uniforms(0.75, 0.25, 0.75))
    torch.testing.assert_close(changed.flatten(), uniforms(1.875, 1.875, 3.125, -1.875))


# ---------------------------------------------------------------------- translation and cutout


def moved_by_hand(image, down, right, fill):
    _, height, width = image.shape
    moved = torch.full_like(image, fill)
    for i, j in itertools.product(range(height), range(width)):
        if 0 <= i - down < height and 0 <= j - right < width:
            moved[:, i, j] = image[:, i - down, j - right]
    return moved


@pytest.mark.parametrize(
    ("height", "width", "most"), [(8, 8, (1, 1)), (9, 14, (1, 2)), (4, 12, (1, 2)), (3, 3, (0, 0))]
)
def test_translation_moves_by_every_whole_shift_up_to_an_eighth_of_the_size_equally_often(height, width, most):
    image, augmentation = normal(2, height, width), Translation(0.125, -0.7)
    counts = [2 * one + 1 for one in most]
    for row, column in itertools.product(*(range(count) for count in counts)):
        for within in (0.0, 0.4, 0.999):
            draws = uniforms((row + within) / counts[0], (column + within) / counts[1])
            expected = moved_by_hand(image, row - most[0], column - most[1], -0.7)
            assert torch.equal(augmentation(image, draws), expected)


@pytest.mark.parametrize(("height", "width", "ratio"), [(8, 8, 0.5), (6, 9, 0.5), (7, 5, 0.3), (2, 3, 0.2)])
def test_cutout_overwrites_a_rectangle_around_every_place_equally_often(height, width, ratio):
    image, augmentation = normal(2, height, width), Cutout(ratio, 0.25)
    sides = [int(ratio * size + 0.5) for size in (height, width)]
    counts = [size + 1 - side % 2 for size, side in zip((height, width), sides, strict=True)]
    for row, column in itertools.product(*(range(count) for count in counts)):
        expected = image.clone()
        top, left = row - sides[0] // 2, column - sides[1] // 2
        expected[:, max(top, 0) : max(top + sides[0], 0), max(left, 0) : max(left + sides[1], 0)] = 0.25
        got = augmentation(image, uniforms((row + 0.5) / counts[0], (column + 0.5) / counts[1]))
        assert torch.equal(got, expected)


def test_a_hole_in_the_middle_of_an_image_is_a_quarter_of_it():
    changed = Cutout()(torch.ones(3, 32, 32), torch.tensor([0.5, 0.5]))
    assert int((changed == 0).sum()) == 3 * 16 * 16
    assert torch.equal(changed[:, 8:24, 8:24], torch.zeros(3, 16, 16))


def test_no_gradient_comes_back_from_pixels_that_left_or_were_cut_out():
    for augmentation, lost in (
        (Translation(0.25), (slice(3, 4), slice(0, 4))),
        (Cutout(0.5), (slice(1, 3), slice(1, 3))),
    ):
        images = normal(1, 4, 4).requires_grad_()
        draws = uniforms(0.99, 0.5) if isinstance(augmentation, Translation) else uniforms(0.5, 0.5)
        (slopes,) = torch.autograd.grad(augmentation(images, draws).sum(), images)
        expected = torch.ones(1, 4, 4, dtype=DOUBLE)
        expected[:, lost[0], lost[1]] = 0
        assert torch.equal(slopes, expected)


def test_integers_are_drawn_equally_often_and_never_out_of_range():
    below_one = torch.tensor([0.0, 1 - 2**-24])
    for count in range(1, 70):
        assert drawn_index(below_one, count).tolist() == [0, count - 1]
    assert drawn_index(torch.tensor([0.999], dtype=torch.bfloat16), 3).tolist() == [2]  # rounded to 1
    drawn = drawn_index(torch.rand(30_000, generator=make_rng(0)), 3)
    assert torch.bincount(drawn).tolist() == pytest.approx([10_000] * 3, abs=400)


# ---------------------------------------------------------------------- composition and input


def test_a_composition_gives_each_part_its_own_draws_in_order():
    images, draws = normal(4, 3, 8, 8), torch.rand(4, 7, generator=make_rng(2), dtype=DOUBLE)
    parts = Translation(0.4), Colour(), Cutout(0.5, 0.3)
    composed = Composed(parts)
    assert composed.draws == 7
    expected = parts[2](parts[1](parts[0](images, draws[:, :2]), draws[:, 2:5]), draws[:, 5:])
    assert torch.equal(composed(images, draws), expected)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Translation(0.0), "ratio of a translation must lie between 0 and 1, found 0.0"),
        (lambda: Cutout(1.0), "ratio of a cutout must lie between 0 and 1, found 1.0"),
        (lambda: Composed([]), "needs at least one part, found none"),
        (lambda: Colour().check((2,)), r"Colour augmentation needs images .*, found samples of shape \[2\]"),
        (lambda: Composed([Cutout()]).check((2, 3)), r"Cutout augmentation needs images .*, found .* \[2, 3\]"),
    ],
)
def test_input_out_of_range_is_refused(build, message):
    with pytest.raises(InvalidInputError, match=message):
        build()
