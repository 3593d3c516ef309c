"""Evaluating a game part by part, so that the activations of one part exist at a time."""

from typing import final

from torch import Tensor, cat, stack, zeros_like

from mixnash.core.errors import require
from mixnash.core.feedback import Evaluate, feedback
from mixnash.core.games.base import AbstractGame
from mixnash.core.shares import Share, share_of
from mixnash.core.types import (
    AugmentationDraws,
    Batch,
    Feedback,
    Networks,
    Params,
    Player,
    Players,
    Population,
    Profile,
)


@final
class Accumulated:
    r"""Evaluates a game as `core.feedback.feedback` does, on M parts of the batch times C parts of the critics in turn.

    Payoffs, losses and gradients are means over samples and sums over the opponents' weights, so they are summed up,

    .. math:: \nabla_{g_k} = \sum_{c=1}^C \frac1M \sum_{m=1}^M \sum_{l \in c} q_l \nabla_{g_k} \ell_G^{(m)}(g_k, d_l),
              \qquad \nabla_{d_l} = \frac1M \sum_{m=1}^M \sum_k p_k \nabla_{d_l} \ell_D^{(m)}(g_k, d_l),

    where part m counts by its shares, see `Batch`. Equal to one evaluation but for rounding, as long as no network
    looks at several samples together (`lit.mixed_checks.check_splittable`). Activations take 1 / (M C) of their memory,
    and the sums one more gradient of both players. Every part of the critics has the generators make their samples
    again, so M saves more than C unless critics are many.

    Parts differ by a sample at most, or by a pack where the game is played on packs. There are fewer parts where there
    are fewer samples, or critics, than parts asked for. Where `evaluate` exchanges samples with other processes, all
    of them must make equally many parts: C must not exceed the least number of critics that one of them owns.

    Linearisations (`GameOracle.linearise`) do not pass here. They stay whole: their products need the graph of all
    samples and pairs at once.

    Args:
        micro_batches: M >= 1.
        critic_chunks: C >= 1.
        evaluate: evaluates one part.

    Raises:
        InvalidInputError: when a number is below 1.
    """

    def __init__(self, micro_batches: int, critic_chunks: int, evaluate: Evaluate = feedback) -> None:
        for name, count in (("micro_batches", micro_batches), ("critic_chunks", critic_chunks)):
            require(count >= 1, f"{name} must be at least 1, found {count}: 1 evaluates all at once.")
        self.micro_batches, self.critic_chunks, self._evaluate = micro_batches, critic_chunks, evaluate

    def __call__(
        self, game: AbstractGame, networks: Networks, profile: Profile, batch: Batch, players: Players
    ) -> Feedback:
        """The game's answer at `profile`; arguments as of `feedback`."""
        parts = micro_batches(batch, self.micro_batches, game.samples_together)
        critics = _chunks(profile.critics, self.critic_chunks)
        if len(parts) == len(critics) == 1:
            return self._evaluate(game, networks, profile, batch, players)
        generator_grads = _zeros(profile.generators.params) if Player.GENERATOR in players else None
        critic_grads = _zeros(profile.critics.params) if Player.CRITIC in players else None
        values, generator_losses, critic_losses = [], [], []
        for share, chunk in critics:
            seen: list[tuple[Tensor, Tensor, Tensor]] = []
            for part in parts:
                one = self._evaluate(game, networks, Profile(profile.generators, chunk), part, players)
                _add(generator_grads, one.generator_grads, slice(None), 1 / len(parts))
                _add(critic_grads, one.critic_grads, share.cut, 1 / len(parts))
                seen.append((one.values, one.generator_losses, one.critic_losses))
            means = [stack(kind).mean(0) for kind in zip(*seen, strict=True)]
            values.append(means[0])
            generator_losses.append(means[1])
            critic_losses.append(means[2])
        return Feedback(
            cat(values, dim=1), stack(generator_losses).sum(0), cat(critic_losses), generator_grads, critic_grads
        )


def micro_batches(batch: Batch, count: int, together: int = 1) -> list[Batch]:
    """A batch for all generators in contiguous parts, whose shares make the plain mean over parts that of the batch.

    Each generated sample keeps its anchor, also where that real sample is in another part.

    Args:
        batch: real samples [1, B, *event], latents [K, b, latent].
        count: how many parts, at least 1; fewer where there are fewer samples.
        together: neighbouring samples that stay in one part; a rest below it is left out, as packs leave it out.

    Raises:
        InvalidInputError: when there are fewer samples than must stay together.
    """
    real, generated = batch.real.shape[1] // together, batch.latent.shape[1] // together
    require(
        min(real, generated) >= 1,
        f"{together} samples must stay together, found {batch.real.shape[1]} real and {batch.latent.shape[1]} "
        "generated ones.",
    )
    parts = min(count, real, generated)
    if parts == 1:
        return [batch]
    return [
        _part(batch, share_of(real, parts, m), share_of(generated, parts, m), together, parts) for m in range(parts)
    ]


def _part(batch: Batch, real: Share, generated: Share, together: int, parts: int) -> Batch:
    """The own units of `together` samples each."""
    own_real = slice(real.first * together, (real.first + real.size) * together)
    own = slice(generated.first * together, (generated.first + generated.size) * together)
    draws = batch.augmentation
    return batch._replace(
        real=batch.real[:, own_real],
        latent=batch.latent[:, own],
        # Evaluations without a penalty bring no anchors.
        anchor=batch.anchor if batch.anchor.numel() == 0 else batch.anchor[:, own],
        mix=batch.mix[:, own],
        augmentation=None
        if draws is None
        else AugmentationDraws(draws.real[:, own_real], draws.generated[:, own], draws.anchor[:, own]),
        real_share=batch.real_share * (parts * real.size / real.total),
        generated_share=batch.generated_share * (parts * generated.size / generated.total),
    )


def _chunks(population: Population, count: int) -> list[tuple[Share, Population]]:
    """Contiguous parts of a population with its own weights, which do not sum to one then."""
    params, log_weights = population
    shares = [share_of(len(log_weights), min(count, len(log_weights)), c) for c in range(min(count, len(log_weights)))]
    return [
        (share, Population({name: leaf[share.cut] for name, leaf in params.items()}, log_weights[share.cut]))
        for share in shares
    ]


def _zeros(params: Params) -> Params:
    return {name: zeros_like(leaf, requires_grad=False) for name, leaf in params.items()}


def _add(total: Params | None, grads: Params | None, rows: slice, scale: float) -> None:
    """Add a part's gradients in place to some rows of the sum."""
    if total is not None and grads is not None:
        for name, leaf in total.items():
            leaf[rows].add_(grads[name], alpha=scale)
