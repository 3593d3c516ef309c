"""Inception with random weights: what is asked of the standard file, and what is done to images."""

import hashlib
import io

import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from mixnash.core.errors import InvalidInputError
from mixnash.metrics.features import inception
from mixnash.metrics.features.inception import (
    FILE,
    SHA256,
    URL_INCEPTION_V3,
    InceptionExtractor,
    find_inception,
    load_inception,
)
from problems import make_rng


@pytest.fixture(scope="module")
def weights():
    """The content of a file with the weights of a network that was never trained."""
    holder = []
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: holder.append(self))
        torch.manual_seed(1)
        empty = io.BytesIO()
        torch.save({}, empty)
        empty.seek(0)
        network = FeatureExtractorInceptionV3("x", ["2048"], empty)
    content = io.BytesIO()
    torch.save(network.state_dict(), content)
    return content.getvalue()


@pytest.fixture(scope="module")
def extractor(weights):
    before = torch.get_rng_state()
    made = InceptionExtractor(weights)
    assert torch.equal(torch.get_rng_state(), before), "Building must leave the global random state alone."
    return made


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No file in the usual places, and no network."""
    monkeypatch.delenv("MIXNASH_INCEPTION", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def no_network(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)


def images(count=2, channels=3, side=16):
    return torch.rand(count, channels, side, side, generator=make_rng(count, channels)) * 2 - 1


def test_the_known_file_is_the_one_of_torch_fidelity():
    assert FILE == "weights-inception-2015-12-05-6726825d.pth"
    assert len(SHA256) == 64
    assert FILE.endswith(f"-{SHA256[:8]}.pth")  # as torch.hub names files


def test_features_and_logits_are_those_of_torch_fidelity_on_rounded_pixels(weights, extractor):
    pictures = images()
    direct = FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"], io.BytesIO(weights))
    pixels = torch.floor((pictures.double() + 1) * 127.5 + 0.5).to(torch.uint8)
    features, logits = direct(pixels)
    found = extractor(pictures)
    assert found.features.shape == (2, 2048)
    assert found.logits is not None
    assert found.logits.shape == (2, 1008)
    assert torch.equal(found.features, features)
    assert torch.equal(found.logits, logits)
    assert not found.features.requires_grad
    assert not isinstance(extractor, torch.nn.Module)
    assert bool((features[0] != features[1]).any())


def test_only_the_standard_weights_are_called_fid(weights, extractor, monkeypatch):
    digits = hashlib.sha256(weights).hexdigest()
    assert extractor.name == f"inception_{digits[:8]}"
    assert extractor.metric == f"fd_inception_{digits[:8]}"
    monkeypatch.setattr(inception, "SHA256", digits)
    assert (extractor.name, extractor.metric) == ("inception", "fid")


def test_grey_images_are_repeated_only_if_asked_for(weights, extractor):
    grey = images(1, 1)
    with pytest.raises(InvalidInputError, match=r"grey ones of shape \(1, 16, 16\)\. .*repeat_grey=True"):
        extractor(grey)
    made = InceptionExtractor(weights, repeat_grey=True)
    assert torch.equal(made(grey).features, extractor(grey.expand(-1, 3, -1, -1)).features)
    assert made.identity != extractor.identity
    for one in (made, extractor):
        with pytest.raises(InvalidInputError, match=r"takes images of shape \(3, H, W\), found \(2, 16, 16\)"):
            one.check((2, 16, 16))


def test_the_file_is_looked_for_in_the_order_documented(monkeypatch, tmp_path):
    assert find_inception() is None
    kept = tmp_path / "torch" / "hub" / "checkpoints" / FILE
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"1")
    assert find_inception() == kept
    named, given = tmp_path / "named.pth", tmp_path / "given.pth"
    monkeypatch.setenv("MIXNASH_INCEPTION", str(named))
    with pytest.raises(InvalidInputError, match=r"MIXNASH_INCEPTION names '.*named\.pth', which is no file: give w"):
        find_inception()
    named.write_bytes(b"2")
    assert find_inception() == named
    with pytest.raises(InvalidInputError, match=r"^'.*given\.pth', which is no file"):
        find_inception(given)
    given.write_bytes(b"3")
    assert find_inception(given) == given


def test_a_file_with_a_wrong_hash_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"other weights")
    found = hashlib.sha256(b"other weights").hexdigest()
    with pytest.raises(InvalidInputError, match=f"is not the standard file .* SHA-256 is {found}, expected {SHA256}"):
        load_inception(path)


def test_content_that_is_no_weights_is_refused():
    other = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, other)
    for content in (b"", b"nonsense", other.getvalue()):
        with pytest.raises(InvalidInputError, match=r"no weights of torch-fidelity's Inception network \("):
            InceptionExtractor(content)


def test_a_failed_download_names_the_address_and_the_variable():
    with pytest.raises(
        InvalidInputError,
        match=rf"cannot be downloaded \(no route to host\)\. Fetch {URL_INCEPTION_V3} and .* MIXNASH_INCEPTION\.",
    ):
        load_inception()
    with pytest.raises(InvalidInputError, match=r"The weights of Inception are not on this machine\. Fetch https"):
        load_inception(download=False)


def test_a_download_is_checked_against_the_whole_hash_and_loaded(weights, extractor, monkeypatch):
    asked = []

    def fetch(url, place, hash_prefix):
        asked.append((url, hash_prefix))
        with open(place, "wb") as file:
            file.write(weights)

    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(weights).hexdigest())
    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    made = load_inception()
    assert made.metric == "fid"
    assert torch.equal(made(images(1)).features, extractor(images(1)).features)
    kept = find_inception()
    assert kept is not None
    assert kept.read_bytes() == weights
    assert asked == [(URL_INCEPTION_V3, hashlib.sha256(weights).hexdigest())]
