"""What every extractor promises, and known answers of each."""

import copy

import pytest
import torch
import torch.nn.functional as F

from mixnash.core.errors import InvalidInputError, NonFiniteError
from mixnash.core.random import stream
from mixnash.metrics.features.base import Extracted, extract, weights_hash
from mixnash.metrics.features.classifier import ClassifierExtractor
from mixnash.metrics.features.classifier_file import TrainedClassifier
from mixnash.metrics.features.classifier_network import CLASSIFIERS, SmallClassifier
from mixnash.metrics.features.random_cnn import RandomConvolutions
from mixnash.metrics.features.stacked_digits import StackedDigits
from problems import make_rng


def images(*shape, key=0):
    return torch.rand(shape, generator=make_rng(key, *shape)) * 2 - 1


def trained(name="digits_cnn", seed=0, accuracy=0.99):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = dict(SmallClassifier(CLASSIFIERS[name].architecture).state_dict())
    return TrainedClassifier(name, state, accuracy, 200, "0" * 64, seed, 1, {"torch": "2"})


MADE = {
    "random_cnn": (lambda: RandomConvolutions(3, seed=5), (3, 12, 16)),
    "digits_cnn": (lambda: ClassifierExtractor(trained()), (1, 8, 8)),
    "cropped": (lambda: ClassifierExtractor(trained("mnist_cnn"), crop=2), (1, 32, 32)),
    "cifar10_cnn": (lambda: ClassifierExtractor(trained("cifar10_cnn")), (3, 32, 32)),
    "stacked": (lambda: StackedDigits(ClassifierExtractor(trained("mnist_cnn"))), (3, 28, 28)),
}
every_extractor = pytest.mark.parametrize(("make", "shape"), MADE.values(), ids=MADE.keys())

# ---------------------------------------------------------------------- every extractor


@every_extractor
def test_equal_images_give_equal_bits_without_gradients(make, shape):
    made, pictures = make(), images(5, *shape).requires_grad_()
    first, second, other = made(pictures), made(pictures), make()(pictures)
    assert torch.equal(first.features, second.features)
    assert torch.equal(first.features, other.features)
    assert first.features.dtype == torch.float32
    assert not first.features.requires_grad
    assert bool(first.features.std(0).max() > 0), "Different images must give different features."


@every_extractor
def test_the_global_random_state_is_neither_read_nor_moved(make, shape):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = make()(images(2, *shape)).features
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert torch.equal(make()(images(2, *shape)).features, first)


@every_extractor
def test_an_extractor_is_no_module_and_moves_in_place(make, shape):
    made = make()
    assert not isinstance(made, torch.nn.Module)
    assert made.to(torch.device("cpu")) is made
    assert copy.deepcopy(made).identity == made.identity == make().identity
    made.check(shape)


@every_extractor
def test_values_beyond_the_range_are_clipped_and_what_is_not_finite_is_refused(make, shape):
    made, pictures = make(), images(3, *shape)
    bright = torch.where(pictures > 0.5, pictures + 4, pictures)
    clipped = torch.where(pictures > 0.5, torch.ones(()), pictures)
    assert torch.equal(made(bright).features, made(clipped).features)
    pictures[1, 0, 2, 2] = torch.nan
    with pytest.raises(NonFiniteError, match=r"Features cannot be taken of images with values that are not finite\."):
        made(pictures)


@every_extractor
def test_chunks_change_nothing_but_rounding(make, shape):
    made, pictures = make(), images(7, *shape)
    whole, parts = made(pictures), extract(made, pictures, batch=3)
    torch.testing.assert_close(parts.features, whole.features, rtol=1e-5, atol=1e-6)
    if whole.logits is None:
        assert parts.logits is None
    else:
        torch.testing.assert_close(parts.logits, whole.logits, rtol=1e-5, atol=1e-5)


@every_extractor
def test_a_wrong_shape_is_refused_before_anything_is_computed(make, shape):
    with pytest.raises(InvalidInputError, match=r"takes images of shape \(.*\).*, found \(2, 8, 8\)\."):
        make()(images(1, 2, 8, 8))


def test_names_metrics_and_identities_differ_between_extractors():
    made = [make() for make, _ in MADE.values()] + [RandomConvolutions(3, seed=6), RandomConvolutions(1, seed=5)]
    assert [one.name for one in made[:5]] == [
        "random_cnn",
        "digits_cnn",
        "mnist_cnn",
        "cifar10_cnn",
        "stacked_mnist_cnn",
    ]
    assert all(one.metric == f"fd_{one.name}" for one in made)
    assert len({one.identity for one in made}) == len(made)


def test_extracting_refuses_an_empty_set_and_an_empty_batch():
    made = RandomConvolutions(1)
    with pytest.raises(InvalidInputError, match=r"Features need at least one image, found none\."):
        extract(made, torch.empty(0, 1, 8, 8))
    with pytest.raises(InvalidInputError, match=r"at least 1 image at a time, found batch=0\."):
        extract(made, images(2, 1, 8, 8), batch=0)


def test_the_hash_sees_names_shapes_kinds_values_and_words():
    base = {"a": torch.tensor([1.0, 2.0])}
    others = [
        weights_hash({"b": base["a"]}),
        weights_hash({"a": base["a"].reshape(2, 1)}),
        weights_hash({"a": base["a"].double()}),
        weights_hash({"a": torch.tensor([1.0, 3.0])}),
        weights_hash(base, "word"),
    ]
    assert weights_hash(base) == weights_hash({"a": torch.tensor([1.0, 2.0])})
    assert len({weights_hash(base), *others}) == 6


# ---------------------------------------------------------------------- each extractor


def test_random_convolutions_are_the_formula_of_their_docstring():
    pictures, rng = images(2, 1, 8, 8), stream(torch.device("cpu"), 9)
    hidden, incoming, expected = pictures.double(), 1, []
    for scale, width in enumerate((32, 64, 128)):
        weight = torch.randn(width, incoming, 3, 3, generator=rng).double() * (2 / (9 * incoming)) ** 0.5
        bias = torch.randn(width, generator=rng).double() / 2
        if scale:
            hidden = hidden.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))
        columns = F.unfold(hidden, 3, padding=1)
        hidden = (torch.einsum("op,npl->nol", weight.flatten(1), columns) + bias[:, None]).clamp(min=0)
        expected += [hidden.mean(2), (hidden.square().mean(2) - hidden.mean(2).square()).clamp(min=0).sqrt()]
        side = 8 // 2**scale
        hidden, incoming = hidden.reshape(2, width, side, side), width
    made = RandomConvolutions(1, seed=9)
    assert made(pictures).logits is None
    torch.testing.assert_close(made(pictures).features.double(), torch.cat(expected, 1), rtol=1e-4, atol=1e-5)


def test_random_convolutions_give_the_same_numbers_on_every_machine():
    ramp = torch.linspace(-1, 1, 3 * 64).reshape(1, 3, 8, 8)
    found = RandomConvolutions()(ramp).features[0]
    known = [0.676146, 0.083904, 0.203011, 0.279773, 0.183646, 0.301817]
    assert found.shape == (448,)
    torch.testing.assert_close(found[[1, 7, 40, 130, 300, 447]], torch.tensor(known), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("channels", "shape"), [(3, (3, 3, 9)), (1, (3, 8, 8))])
def test_random_convolutions_refuse_tiny_images_and_other_channels(channels, shape):
    with pytest.raises(InvalidInputError, match=r"of shape \(\d, H, W\), at least 4 x 4 pixels, found \(3, \d, \d\)"):
        RandomConvolutions(channels).check(shape)
    with pytest.raises(InvalidInputError, match=r"at least 1 channel, found channels=0"):
        RandomConvolutions(0)


def test_a_classifier_gives_its_hidden_layer_and_its_logits():
    source = trained()
    network = SmallClassifier(CLASSIFIERS["digits_cnn"].architecture)
    network.load_state_dict(source.state)
    pictures = images(4, 1, 8, 8)
    features, logits = ClassifierExtractor(source)(pictures)
    hidden = pictures
    for place in (0, 3):
        layer = network.trunk[place]
        hidden = F.max_pool2d(F.conv2d(hidden, layer.weight, layer.bias, padding=1).relu(), 2)
    dense = network.trunk[7]
    expected = (hidden.flatten(1) @ dense.weight.T + dense.bias).relu()
    torch.testing.assert_close(features, expected.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(logits, network(pictures).detach(), rtol=1e-5, atol=1e-6)
    assert features.shape == (4, 128)


def test_a_crop_takes_the_digit_out_of_its_frame():
    inner = images(3, 1, 28, 28)
    plain, cropped = (ClassifierExtractor(trained("mnist_cnn"), crop) for crop in (0, 2))
    for frame in (-1.0, 0.7):
        padded = F.pad(inner, (2, 2, 2, 2), value=frame)
        assert torch.equal(cropped(padded).features, plain(inner).features)
    with pytest.raises(InvalidInputError, match=r"mnist_cnn with crop=2 takes images of shape \(1, 32, 32\), found"):
        cropped(inner)
    with pytest.raises(InvalidInputError, match=r"The crop must be at least 0 pixels, found -1\."):
        ClassifierExtractor(trained("mnist_cnn"), -1)


def test_stacked_digits_are_the_classifier_of_each_channel():
    digits = ClassifierExtractor(trained("mnist_cnn"))
    pictures = images(4, 3, 28, 28)
    found = StackedDigits(digits)(pictures)
    assert isinstance(found, Extracted)
    assert found.features.shape == (4, 384)
    assert found.logits is not None
    assert found.logits.shape == (4, 3, 10)
    for channel in range(3):
        alone = digits(pictures[:, channel : channel + 1])
        own = found.features[:, 128 * channel : 128 * (channel + 1)]
        torch.testing.assert_close(own, alone.features, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(found.logits[:, channel], alone.logits, rtol=1e-5, atol=1e-5)
    with pytest.raises(InvalidInputError, match=r"one channel, but cifar10_cnn takes 3\."):
        StackedDigits(ClassifierExtractor(trained("cifar10_cnn")))
