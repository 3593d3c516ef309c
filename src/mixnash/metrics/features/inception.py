"""The Inception network of 2015 with the weights that published FIDs and Inception scores are taken with."""

import hashlib
import io
import os
import pickle
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from mixnash.core.errors import InvalidInputError, require
from mixnash.metrics.features.base import AbstractExtractor, Extracted, as_pictures, weights_hash

VARIABLE = "MIXNASH_INCEPTION"
"""The environment variable that names the file of weights."""
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of the file of weights; its name carries the first eight digits."""
FILE: str = URL_INCEPTION_V3.rpartition("/")[2]
"""The file's name, weights-inception-2015-12-05-6726825d.pth."""


@final
class InceptionExtractor(AbstractExtractor):
    """torch-fidelity's port of the Inception network of 2015: 2,048 features after the last pooling, 1,008 logits.

    Images are quantised to 0..255 by rounding 127.5 (x + 1) and scaled to 299 x 299 by TensorFlow 1's bilinear
    interpolation, without antialiasing, as for nearly every published number. The logits are without bias, which is
    what Inception scores are taken of.

    References:
        Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter, 2017, GANs trained by a two time-scale update rule converge
        to a local Nash equilibrium, equation (6): the distance. Obukhov et al., torch-fidelity: the network.

    Args:
        weights: the content of a file of weights; `load_inception` reads the standard one. With any other the extractor
            and its distance have another name.
        repeat_grey: take images with one channel too, repeated three times; else they are refused.

    Raises:
        InvalidInputError: when the content holds no weights of this network.
    """

    def __init__(self, weights: bytes, repeat_grey: bool = False) -> None:
        self._hash = hashlib.sha256(weights).hexdigest()
        self._repeat_grey = repeat_grey
        self._network = _network(weights)
        self._device = torch.device("cpu")

    @property
    def name(self) -> str:
        """Plain "inception" with the standard weights, else the first digits of their hash behind."""
        return "inception" if self._is_standard else f"inception_{self._hash[:8]}"

    @property
    def metric(self) -> str:
        """The name "fid" with the standard weights only."""
        return "fid" if self._is_standard else f"fd_{self.name}"

    @property
    def identity(self) -> str:
        """Of weights, quantisation and resize."""
        return weights_hash({}, "inception", self._hash, "uint8", "tensorflow 1 bilinear 299", self._repeat_grey)

    def check(self, event_shape: tuple[int, ...]) -> None:
        """Refuse other than three channels, or one if grey images may be repeated."""
        grey = len(event_shape) == 3 and event_shape[0] == 1
        require(
            not grey or self._repeat_grey,
            f"Inception was trained on colour images, found grey ones of shape {event_shape}. Use a classifier of such "
            "images, or say repeat_grey=True for the FID of images repeated three times.",
        )
        require(
            grey or (len(event_shape) == 3 and event_shape[0] == 3),
            f"Inception takes images of shape (3, H, W), found {event_shape}.",
        )

    def __call__(self, images: Float[Tensor, "n C H W"]) -> Extracted:
        """Features [n, 2048] and logits [n, 1008]."""
        self.check(tuple(images.shape[1:]))
        pixels = ((as_pictures(images, self._device) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        with torch.no_grad():
            features, logits = self._network(pixels.expand(-1, 3, -1, -1))
        return Extracted(features, logits)

    def to(self, device: torch.device) -> "InceptionExtractor":
        """Move to a device; gives the same extractor."""
        self._device = device
        self._network.to(device)
        return self

    @property
    def _is_standard(self) -> bool:
        return self._hash == SHA256


def find_inception(path: Path | None = None) -> Path | None:
    """The file of weights: the one given, or the one that MIXNASH_INCEPTION names, or torch's download; None if none.

    Torch keeps downloads in ``$TORCH_HOME/hub/checkpoints``, by default ``~/.cache/torch/hub/checkpoints``.

    Raises:
        InvalidInputError: when a file was named that does not exist.
    """
    named = os.environ.get(VARIABLE)
    for source, place in (("", path), (f"The environment variable {VARIABLE} names ", Path(named) if named else None)):
        if place is not None:
            place = place.expanduser()
            require(place.is_file(), f"{source}'{place}', which is no file: give {FILE}, from {URL_INCEPTION_V3}.")
            return place
    kept = _download_place()
    return kept if kept.is_file() else None


def load_inception(path: Path | None = None, repeat_grey: bool = False, download: bool = True) -> InceptionExtractor:
    """The extractor with the standard weights, the only one whose Frechet distance is called "fid".

    Args:
        path: the file of weights; None to look for it, see `find_inception`.
        repeat_grey: see `InceptionExtractor`.
        download: fetch the file (96 MB) if it is nowhere.

    Raises:
        InvalidInputError: when there is no file, or another than the standard one.
    """
    place = find_inception(path)
    if place is None:
        require(download, f"The weights of Inception are not on this machine. {_ADVICE}")
        place = _downloaded()
    try:
        weights = place.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"'{place}' cannot be read ({error.strerror}). {_ADVICE}") from error
    found = hashlib.sha256(weights).hexdigest()
    require(
        found == SHA256,
        f"'{place}' is not the standard file of Inception weights: its SHA-256 is {found}, expected {SHA256}. Remove "
        f"it and fetch {URL_INCEPTION_V3}.",
    )
    return InceptionExtractor(weights, repeat_grey)


_ADVICE = f"Fetch {URL_INCEPTION_V3} and name the file with the environment variable {VARIABLE}."


def _download_place() -> Path:
    return Path(str(torch.hub.get_dir())) / "checkpoints" / FILE


def _downloaded() -> Path:
    """Fetch the file to where torch keeps such files, whole and checked or not at all."""
    place = _download_place()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(URL_INCEPTION_V3, str(place), hash_prefix=SHA256)
    except (OSError, RuntimeError) as error:  # no network or no room; a wrong hash
        raise InvalidInputError(
            f"The weights of Inception are not on this machine and cannot be downloaded ({error}). {_ADVICE}"
        ) from error
    return place


def _network(weights: bytes) -> FeatureExtractorInceptionV3:
    try:
        # The network reads a file itself, and would run what is hidden in it: so it is given a copy of the tensors.
        content = io.BytesIO()
        torch.save(torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True), content)
        content.seek(0)
        with torch.random.fork_rng(devices=[]):  # its initialisation draws, and is then overwritten
            return FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], content)
    except (RuntimeError, ValueError, EOFError, KeyError, AttributeError, TypeError, pickle.UnpicklingError) as error:
        raise InvalidInputError(
            f"These are no weights of torch-fidelity's Inception network ({type(error).__name__})."
        ) from error
