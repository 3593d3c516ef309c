"""Evaluating a game in parts whose answers are added in an order that does not depend on who evaluates them."""

from collections.abc import Sequence
from typing import final

from torch import Tensor

from mixnash.core.accumulation import micro_batches
from mixnash.core.errors import require
from mixnash.core.feedback import Evaluate, feedback
from mixnash.core.games.base import AbstractGame
from mixnash.core.types import Batch, Feedback, Networks, Params, Players, Profile


@final
class Pairwise:
    r"""Evaluates a game as `core.feedback.feedback` does, on M equal parts of the batch, a power of two, and adds the
    answers pairwise,

    .. math:: S(1, M) = S(1, M/2) + S(M/2 + 1, M), \qquad \text{answer} = S(1, M) / M.

    D processes that evaluate M / D neighbouring parts each, and add theirs pairwise as well, find the same bits as one
    process that evaluates all M: parts have the same shapes wherever they are, sums the same order, and powers of two
    divide exactly. The price is that of smaller products, and of up to :math:`1 + \log_2 M` gradients at a time.

    Args:
        parts: M >= 1, a power of two.
        evaluate: evaluates one part.

    Raises:
        InvalidInputError: when the number is no power of two; in a call, when a batch cannot be cut into so many equal
            parts.
    """

    def __init__(self, parts: int, evaluate: Evaluate = feedback) -> None:
        require(parts >= 1 and parts & (parts - 1) == 0, f"The number of parts must be a power of two, found {parts}.")
        self._parts, self._evaluate = parts, evaluate

    def __call__(
        self, game: AbstractGame, networks: Networks, profile: Profile, batch: Batch, players: Players
    ) -> Feedback:
        """The game's answer at `profile`; arguments as of `feedback`."""
        parts = micro_batches(batch, self._parts, game.samples_together)
        require(
            len(parts) == self._parts and all(_is_plain(part, batch) for part in parts),
            f"{batch.real.shape[1]} real and {batch.latent.shape[1]} generated samples cannot be cut into "
            f"{self._parts} equal parts.",
        )

        def total(few: Sequence[Batch]) -> Feedback:
            if len(few) == 1:
                # Copied, so that what kernels see does not depend on where in a larger batch the part was.
                return self._evaluate(game, networks, profile, _copied(few[0]), players)
            half = len(few) // 2
            return added(total(few[:half]), total(few[half:]))

        return scaled(total(parts), 1 / self._parts)


def _is_plain(part: Batch, whole: Batch) -> bool:
    return part.real_share == whole.real_share and part.generated_share == whole.generated_share


def _copied(batch: Batch) -> Batch:
    draws = batch.augmentation
    return batch._replace(
        real=batch.real.clone(),
        latent=batch.latent.clone(),
        anchor=batch.anchor.clone(),
        mix=batch.mix.clone(),
        augmentation=None if draws is None else type(draws)(*(one.clone() for one in draws)),
    )


def added(first: Feedback, second: Feedback) -> Feedback:
    """The sum of two answers to the same players; the first one's gradients are overwritten."""

    def grads(one: Params | None, other: Params | None) -> Params | None:
        if one is None or other is None:
            return None
        return {name: leaf.add_(other[name]) for name, leaf in one.items()}

    return Feedback(
        first.values + second.values,
        first.generator_losses + second.generator_losses,
        first.critic_losses + second.critic_losses,
        grads(first.generator_grads, second.generator_grads),
        grads(first.critic_grads, second.critic_grads),
    )


def scaled(one: Feedback, factor: float) -> Feedback:
    """An answer times a number."""

    def times(leaf: Tensor) -> Tensor:
        return leaf if factor == 1 else leaf * factor

    def grads(params: Params | None) -> Params | None:
        return None if params is None else {name: times(leaf) for name, leaf in params.items()}

    return Feedback(
        times(one.values),
        times(one.generator_losses),
        times(one.critic_losses),
        grads(one.generator_grads),
        grads(one.critic_grads),
    )
