"""CIFAR-10 on a CPU: whether mixtures and single networks train stably, and which is better at equal cost."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import final

from mixnash.reproduction.base import Check
from mixnash.reproduction.image_comparison import AbstractImageComparison, Entrant, last
from mixnash.reproduction.plan import Trained, Unit

SECONDS = (150.0, 300.0, 600.0)
"""CPU time of training; evaluation is excluded."""
_RULES = "--model.init_args.dynamics.init_args"
_SMALL = (
    "--data=mixnash.data.class_folders.ClassFolders",
    "--data.init_args.root=data/cifar10",
    "--data.init_args.image_size=32",
    "--data.init_args.flip=true",
    "--model.init_args.generator=mixnash.networks.dcgan.DCGANGenerator",
    "--model.init_args.generator.init_args.latent_dim=128",
    "--model.init_args.critic=mixnash.networks.dcgan.DCGANCritic",
    "--model.init_args.critic.init_args.width=32",
    "--data.init_args.batch_size=32",
    "--model.init_args.generator_samples=null",
    "--model.init_args.critic_samples=null",
    "--model.init_args.ema_decay=0.999",
    f"{_RULES}.generators.position.init_args.step_size=5.0e-4",
    f"{_RULES}.critics.position.init_args.step_size=5.0e-4",
)
"""What makes the experiment fit a CPU: DCGANs, batches of 32, step sizes that stay. Pictures are read from folders, one
for each class, because the recompressed CIFAR-10 at hand is not the official file."""
_SCORE = "fd_random_cnn"


@final
class CIFAR10Mixture(AbstractImageComparison):
    """Four DCGAN generators of width 20 against a single one of as many parameters, with the same critic and rules.

    Reads pictures from data/cifar10/train/CLASS and data/cifar10/test/CLASS.
    """

    summary = "mixture and single DCGAN on CIFAR-10 at equal CPU time"
    entrants = MappingProxyType(
        {
            "mixture": Entrant(
                "cifar10_mixed", (*_SMALL, "--model.init_args.generator.init_args.width=20"), Unit.SECONDS, SECONDS, 1
            ),
            "single DCGAN": Entrant(
                "cifar10_mixed",
                (*_SMALL, "--model.init_args.generator.init_args.width=54", "--model.init_args.num_generators=1"),
                Unit.SECONDS,
                SECONDS,
                1,
            ),
        }
    )
    scored = MappingProxyType({_SCORE: "Frechet distance of random_cnn", "density": "density", "coverage": "coverage"})
    short_words = (
        "--model.init_args.generator.init_args.width=2",
        "--model.init_args.critic.init_args.width=2",
        "--data.init_args.batch_size=8",
    )

    def checks(self, done: Mapping[str, Sequence[Trained]]) -> list[Check]:
        """Stability of both, and the comparison."""
        found = []
        for name in self.entrants:
            (one,) = done[name]
            scores = [mark.scores[_SCORE] for mark in one.marks]
            found.append(
                Check(
                    f"{name}: trains stably",
                    "no failure, and the distance at the end is below that at the first mark",
                    one.failure or f"{scores[0]:.3f} to {scores[-1]:.3f}",
                    one.failure is None and math.isfinite(scores[-1]) and scores[-1] < scores[0],
                )
            )
        mixture, single = (last(done[name], _SCORE) for name in self.entrants)
        found.append(
            Check(f"{_SCORE} of the mixture at equal cost", f"below {single:.2f}", f"{mixture:.2f}", mixture < single)
        )
        return found
