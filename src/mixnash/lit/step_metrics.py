"""The numbers of one step that are worth plotting."""

from torch import Tensor

from mixnash.core.population import effective_size, entropy
from mixnash.core.types import Feedback, Profile


def step_metrics(profile: Profile, seen: Feedback) -> dict[str, Tensor]:
    """Losses and payoffs of the mixtures, and how concentrated their weights are.

    Args:
        profile: both players; only their log-weights are used.
        seen: payoffs and losses of as many particles.
    """
    p, q = profile.generators.log_weights.exp(), profile.critics.log_weights.exp()
    return {
        "loss/generators": p @ seen.generator_losses,
        "loss/critics": q @ seen.critic_losses,
        "payoff/mean": p @ seen.values @ q,
        "payoff/spread": seen.values.amax() - seen.values.amin(),
        "weights/generator_entropy": entropy(profile.generators.log_weights),
        "weights/generator_effective_size": effective_size(profile.generators.log_weights),
        "weights/critic_entropy": entropy(profile.critics.log_weights),
        "weights/critic_effective_size": effective_size(profile.critics.log_weights),
    }
