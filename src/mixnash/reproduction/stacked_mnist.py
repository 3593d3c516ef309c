"""Stacked MNIST: a thousand modes, with a critic of full size and with one that is too small."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import final

from mixnash.reproduction.base import Check
from mixnash.reproduction.image_comparison import AbstractImageComparison, Entrant, last
from mixnash.reproduction.plan import Trained, Unit, steps

MODES = 1_000
SAMPLES = 26_000
"""Behind every score, as in the published tables."""
KL = 0.10
"""KL to uniform that the mixture is to reach; PacDCGAN2 has 0.06, real images 0.024."""
MINUTES = 60.0
"""Time that it may take."""
PUBLISHED = 667.4
"""Modes of PacDCGAN4 with a critic of a quarter of the generator's size (Lin et al., 2018, arXiv 1712.04086)."""
LONG = steps([1_000, 2_000, 4_000, 8_000, 16_000, 24_000, 32_000, 40_000])
SHORTER = steps([1_000, 2_000, 4_000, 8_000, 12_000, 16_000])
CRIPPLED = steps([1_000, 2_000, 4_000, 7_000, 10_000])
"""Generator updates."""
_MORE = "--model.init_args.generator_samples=32"
"""As many samples for each generator's update as a single one has."""
_SCHEDULES = tuple(
    f"--model.init_args.dynamics.init_args.{player}.position.init_args.step_size.init_args.{name}={value}"
    for player in ("generators", "critics")
    for name, value in (("hold", 9_000), ("steps", 7_000))
)


@final
class StackedMNISTModes(AbstractImageComparison):
    """The mixture against the published counts, and against a single DCGAN of as many parameters at equal updates."""

    summary = "mixture and single DCGAN on Stacked MNIST, also with a critic of a quarter of the size"
    entrants = MappingProxyType(
        {
            "mixture": Entrant("stacked_mnist_mixed", (), Unit.STEPS, LONG, 1, SAMPLES),
            "mixture, 32 samples each": Entrant(
                "stacked_mnist_mixed", (_MORE, *_SCHEDULES), Unit.STEPS, SHORTER, 1, SAMPLES
            ),
            "mixture, small critic": Entrant("stacked_mnist_small_critic", (), Unit.STEPS, CRIPPLED, 1, SAMPLES),
            "mixture, small critic, 32 samples each": Entrant(
                "stacked_mnist_small_critic", (_MORE,), Unit.STEPS, CRIPPLED, 1, SAMPLES
            ),
            "single DCGAN, small critic": Entrant(
                "stacked_mnist_dcgan",
                ("--model.init_args.critic.init_args.width=16",),
                Unit.STEPS,
                CRIPPLED,
                1,
                SAMPLES,
            ),
        }
    )
    scored = MappingProxyType({"stacked_modes": "modes of 1,000", "stacked_kl_uniform": "KL to uniform, nats"})
    short_words = (
        "--model.init_args.generator.init_args.width=2",
        "--model.init_args.critic.init_args.width=2",
        "--data.init_args.batch_size=8",
        "--model.init_args.generator_samples=null",
        "--model.init_args.critic_samples=null",
    )

    def checks(self, done: Mapping[str, Sequence[Trained]]) -> list[Check]:
        """The targets of modes, KL and time."""
        mixture, _, small, _, single = (done[name] for name in self.entrants)
        minutes = mixture[0].marks[-1].seconds / 60 if mixture[0].marks else math.inf
        modes, divergence = last(mixture, "stacked_modes"), last(mixture, "stacked_kl_uniform")
        sizes = [found[0].parameters["generators"] for found in (small, single)]
        return [
            Check("mixture: modes", f"{MODES} of {MODES}", f"{modes:.0f}", modes == MODES),
            Check("mixture: KL to uniform", f"at most {KL}", f"{divergence:.4f}", divergence <= KL),
            Check("mixture: CPU minutes, one thread", f"at most {MINUTES:.0f}", f"{minutes:.1f}", minutes <= MINUTES),
            Check(
                "small critic, mixture: modes",
                f"more than {PUBLISHED}",
                f"{last(small, 'stacked_modes'):.0f}, KL {last(small, 'stacked_kl_uniform'):.3f}",
                last(small, "stacked_modes") > PUBLISHED,
            ),
            Check(
                "small critic: the mixture's modes and KL against the single DCGAN's",
                "more modes or the same, lower KL",
                f"single: {last(single, 'stacked_modes'):.0f}, KL {last(single, 'stacked_kl_uniform'):.3f}",
                last(small, "stacked_modes") >= last(single, "stacked_modes")
                and last(small, "stacked_kl_uniform") < last(single, "stacked_kl_uniform"),
            ),
            Check(
                "small critic: generator parameters",
                "within 10 % of each other",
                f"mixture {sizes[0]:,}, single {sizes[1]:,}",
                abs(sizes[0] / sizes[1] - 1) <= 0.1,
            ),
        ]
