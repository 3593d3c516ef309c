"""MNIST: a mixture of small generators against single ones at equal cost."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import final

from mixnash.reproduction.base import Check
from mixnash.reproduction.image_comparison import AbstractImageComparison, Entrant, last
from mixnash.reproduction.plan import Trained, Unit

SECONDS = (15.0, 30.0, 60.0, 90.0)
"""CPU time of training; evaluation is excluded."""
SEEDS = 3
_ONE = (
    "--model.init_args.num_generators=1",
    "--model.init_args.generator_samples=32",
    "--model.init_args.critic_samples=32",
)


@final
class MNISTMixture(AbstractImageComparison):
    """Four generators against one critic; one generator of as many parameters; one of the four alone; WGAN-GP.

    All but the last differ in the generators only: the same critic, game, rules and batches. Every training has the
    same CPU time on one thread.
    """

    summary = "mixture and single networks on MNIST at equal CPU time"
    entrants = MappingProxyType(
        {
            "mixture": Entrant("mnist_mixed", (), Unit.SECONDS, SECONDS, SEEDS),
            "single, equal parameters": Entrant(
                "mnist_mixed", (*_ONE, "--model.init_args.generator.init_args.width=64"), Unit.SECONDS, SECONDS, SEEDS
            ),
            "single, one of the four": Entrant("mnist_mixed", _ONE, Unit.SECONDS, SECONDS, SEEDS),
            "WGAN-GP": Entrant("mnist_wgan_gp", (), Unit.SECONDS, SECONDS, SEEDS),
        }
    )
    scored = MappingProxyType(
        {
            "fd_mnist_cnn": "Frechet distance of mnist_cnn",
            "density": "density",
            "coverage": "coverage",
        }
    )
    short_words = (
        "--model.init_args.generator.init_args.width=2",
        "--model.init_args.critic.init_args.width=2",
        "--data.init_args.batch_size=32",
    )

    def checks(self, done: Mapping[str, Sequence[Trained]]) -> list[Check]:
        """The mixture's means over seeds against the best of the single ones."""
        mixture, *others = (done[name] for name in self.entrants)
        found = []
        for score, better in (("fd_mnist_cnn", min), ("density", max), ("coverage", max)):
            rivals = [value for value in (last(one, score) for one in others) if not math.isnan(value)]
            own, best = last(mixture, score), better(rivals, default=math.nan)
            found.append(
                Check(
                    f"{score} of the mixture at equal cost",
                    f"better than the best single network's, {best:.4f}",
                    f"{own:.4f}",
                    not math.isnan(own) and (not rivals or (own != best and better(own, best) == own)),
                )
            )
        return found
