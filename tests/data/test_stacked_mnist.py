"""Stacked MNIST: three independent digits, whose law over the thousand modes is known."""

import pytest
import torch
from torchvision import datasets

from image_files import in_small_sets, small_sets  # noqa: F401 (fixtures)
from mixnash.core.errors import InvalidInputError
from mixnash.data.stacked_mnist import StackedMNIST

pytestmark = pytest.mark.usefixtures("in_small_sets")


def looked_up(images, train):
    """Which digit of torchvision's part each channel [n, 3] shows, by all its pixels; digits are all different."""
    digits = datasets.MNIST("data", train=train).data
    places = {digit.numpy().tobytes(): place for place, digit in enumerate(digits)}
    bytes_of = ((images + 1) * 127.5).round().to(torch.uint8)
    return torch.tensor([[places[channel.numpy().tobytes()] for channel in image] for image in bytes_of])


def test_channels_are_training_digits_drawn_with_replacement_and_independently():
    places = looked_up(StackedMNIST(seed=1).training_draws(2, 2_000), train=True)
    counts = places.flatten().bincount(minlength=280).double()
    # Multinomial counts of 6,000 draws of 280: mean 21.4, standard deviation 4.62.
    assert counts.std().item() == pytest.approx(4.62, rel=0.2)
    correlation = torch.corrcoef(places.T.double())
    assert (correlation - torch.eye(3)).abs().max() < 0.08


def test_images_of_steps_and_seeds_differ_and_repeat():
    data = StackedMNIST(seed=1)
    assert torch.equal(data.training_draws(2, 9), StackedMNIST(seed=1).training_draws(2, 9))
    assert not torch.equal(data.training_draws(2, 9), data.training_draws(3, 9))
    assert not torch.equal(data.training_draws(2, 9), StackedMNIST(seed=2).training_draws(2, 9))


def test_channels_of_held_out_images_are_digits_of_the_test_part():
    data = StackedMNIST(seed=5)
    assert torch.equal(looked_up(data.held_out(300), train=False), data.held_out_places(300))


def test_the_law_of_the_modes_is_the_product_of_the_digit_frequencies():
    data = StackedMNIST()
    of_digit = (datasets.MNIST("data", train=True).targets.bincount() / 280).tolist()
    assert len(set(of_digit)) > 1
    law = data.mode_probabilities
    assert law.shape == (data.num_modes,) == (1000,)
    assert law.sum().item() == pytest.approx(1, abs=1e-12)
    for a, b, c in ((0, 0, 0), (0, 3, 7), (9, 0, 1), (4, 5, 6)):
        assert law[100 * a + 10 * b + c].item() == pytest.approx(of_digit[a] * of_digit[b] * of_digit[c], rel=1e-6)


def test_32_pixels_have_a_border_of_zeros():
    small, large = StackedMNIST(), StackedMNIST(image_size=32)
    images = large.training_draws(0, 5)
    assert images.shape == (5, *large.event_shape) == (5, 3, 32, 32)
    assert torch.equal(images[:, :, 2:30, 2:30], small.training_draws(0, 5))
    assert (images[:, :, :2] == -1).all()


def test_a_batch_may_be_larger_than_the_set_of_digits():
    assert StackedMNIST(batch_size=1_000).training_batch(0).shape == (1, 1_000, 3, 28, 28)


def test_other_sizes_are_refused():
    with pytest.raises(InvalidInputError, match="28 pixels, or 32 with a border of zeros, found image_size=64"):
        StackedMNIST(image_size=64)


def test_missing_digits_are_one_sentence(tmp_path):
    with pytest.raises(InvalidInputError, match=r"MNIST was looked for in .*MNIST/raw and not found: set download"):
        StackedMNIST(root=str(tmp_path)).setup("fit")
