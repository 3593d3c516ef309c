"""Classifiers in a folder of a test's own, so that tests neither need those of the machine nor see them."""

import torch

from mixnash.metrics.features.classifier_file import TrainedClassifier, default_path, store_classifier
from mixnash.metrics.features.classifier_network import CLASSIFIERS, SmallClassifier


def store(name, seed=0):
    """Store an untrained classifier that claims to be accurate where MIXNASH_HOME says."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = dict(SmallClassifier(CLASSIFIERS[name].architecture).state_dict())
    store_classifier(TrainedClassifier(name, state, 0.99, 200, "0" * 64, seed, 1, {"torch": "2"}), default_path(name))
