"""`mixnash train-classifier`: the network whose features and classes the metrics of some images need."""

import argparse
from pathlib import Path
from typing import NamedTuple

from mixnash.evaluation.options import one_line_errors

SUMMARY = (
    "Train a small classifier of images and store it with its accuracy on held-out images. Metrics use its features "
    "(fd_mnist_cnn and the like) and its classes (mode counts)."
)
# Here as words, since the recipes import torch and help need not wait for that.
DATA = ("digits", "mnist", "fashion_mnist", "cifar10")
"""What there are recipes for."""


class Request(NamedTuple):
    """What the command line says."""

    data: str
    root: str | None
    download: bool
    output: Path | None
    overwrite: bool
    epochs: int | None
    seed: int
    device: str | None


def main(args: list[str] | None = None, prog: str = "mixnash train-classifier") -> None:
    """The command: bad input and a classifier that errs too often end in one sentence and exit code 2.

    Args:
        args: command-line words; those of the process if None.
        prog: the command's name in its help.
    """
    found = _parser(prog).parse_args(args)
    with one_line_errors():
        train_classifier(Request(**vars(found)))


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description=SUMMARY, allow_abbrev=False)
    source = parser.add_argument_group("which images")
    source.add_argument("--data", choices=DATA, required=True, help="what to classify")
    source.add_argument("--root", metavar="DIR", help="the folder that torchvision keeps the images in (default: data)")
    source.add_argument("--download", action="store_true", help="fetch the images if they are missing")
    target = parser.add_argument_group("where to store the classifier")
    target.add_argument(
        "--output", type=Path, metavar="FILE", help="default: ~/.cache/mixnash/classifiers/NAME.pt, where metrics look"
    )
    target.add_argument("--overwrite", action="store_true", help="replace the file if there is one")
    learning = parser.add_argument_group("how it learns")
    learning.add_argument("--epochs", type=int, metavar="N", help="passes over the images (default: 8 to 30)")
    learning.add_argument("--seed", type=int, default=0, help="of initialisation, order and shifts (default: 0)")
    learning.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: cuda if there is one, else cpu)")
    return parser


def train_classifier(request: Request) -> None:
    """Train, judge, store and say so.

    Args:
        request: what is wanted.

    Raises:
        InvalidInputError: when the images cannot be read or are of another shape than the classifier's, the file
            exists or cannot be written, or too many held-out images are named wrongly; nothing is stored then.
    """
    # Imported here, so that help and usage errors need not wait for torch.
    import time
    from importlib.metadata import version

    from mixnash.classification.dataset import content_hash
    from mixnash.classification.recipes import RECIPES, Place, check_images
    from mixnash.classification.train import Settings, accuracy, check_settings, train
    from mixnash.core.errors import require
    from mixnash.evaluation.files import make_folder
    from mixnash.evaluation.load import pick_device
    from mixnash.metrics.features.classifier_file import TrainedClassifier, default_path, store_classifier
    from mixnash.metrics.features.classifier_network import CLASSIFIERS

    recipe = RECIPES[request.data]
    epochs = recipe.epochs if request.epochs is None else request.epochs
    settings = Settings(epochs, request.seed, recipe.shift, recipe.mirror)
    check_settings(settings)
    output = default_path(recipe.name) if request.output is None else request.output
    require(
        request.overwrite or not output.exists(),
        f"'{output}' exists already and is left untouched. Choose another --output, or replace it with --overwrite.",
    )
    device = pick_device(request.device)
    images = recipe.images(Place(request.root, request.download))
    check_images(recipe.name, images)
    make_folder(output.parent)  # fail now rather than after the work
    print(f"{recipe.name}: {len(images.training.labels):,} images, {epochs} epochs", flush=True)
    started = time.monotonic()
    network = train(CLASSIFIERS[recipe.name].architecture, images.training, settings, device)
    right, count = accuracy(network, images.held_out), len(images.held_out.labels)
    versions = {package: version(package) for package in ("mixnash", "torch", "pytorch_lightning")}
    state = {name: leaf.detach().clone() for name, leaf in network.state_dict().items()}
    store_classifier(
        TrainedClassifier(
            recipe.name, state, right, count, content_hash(images.training), request.seed, epochs, versions
        ),
        output,
    )
    print(f"accuracy: {right:.2%} of {count:,} held-out images, after {time.monotonic() - started:.0f} s")
    print(f"classifier: {output}")
