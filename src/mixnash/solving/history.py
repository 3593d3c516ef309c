"""What a dynamics did on a game: a record of profiles, and what can be read from it."""

from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mixnash.core.errors import NonFiniteError
from mixnash.core.games.vectors import VECTOR
from mixnash.core.population import weights
from mixnash.core.tree import map_leaves
from mixnash.core.types import GENERATORS, AbstractOracle, Population, Profile

T = TypeVar("T")

_PAIRS_AT_ONCE = 200_000  # payoffs evaluated in one batch: some tens of megabytes
_ATOMS = 400  # of a time-averaged mixture, about: the search for deviations refines every one


class Record(NamedTuple):
    """One profile of a run."""

    step: int
    profile: Profile
    played: Profile
    averages: tuple[Tensor, Tensor]
    gradient_calls: float
    seconds: float


class History(NamedTuple):
    """R recorded profiles of a run; batches of games have their axes after the first."""

    steps: Int[Tensor, " R"]
    """How many steps had been made; the first is 0."""
    profiles: Profile
    """The iterates: leaves [R, *games, K, dim], log-weights [R, *games, K]."""
    played: Profile
    """Where the step before asked for gradients last (extragradient's look-ahead); the start at record 0."""
    averages: tuple[Tensor, Tensor]
    """Means over all steps so far of the *played* weights of both players, [R, *games, K] and [R, *games, L]."""
    values: Float[Tensor, "R *games"]
    """The payoff at the iterates."""
    gradient_calls: Float[Tensor, " R"]
    """Evaluations so far: 1 for both players' gradients or a product with the field's derivative, 1/2 for one's."""
    seconds: Float[Tensor, " R"]
    """Time so far, without what recording takes."""


class DivergedError(NonFiniteError):
    """A dynamics left the finite numbers.

    Args:
        message: a sentence with the dynamics and the step.
        step: at which record it was noticed.
        history: what was recorded before.
    """

    def __init__(self, message: str, step: int, history: History) -> None:
        super().__init__(message)
        self.step, self.history = step, history


def make_history(records: list[Record], oracle: AbstractOracle) -> History:
    """Records as one batch, with the payoffs at the iterates.

    Args:
        records: at least one.
        oracle: of the game; must accept batches of profiles.
    """
    profiles = _stack([one.profile for one in records])
    return History(
        steps=torch.tensor([one.step for one in records]),
        profiles=profiles,
        played=_stack([one.played for one in records]),
        averages=(
            torch.stack([one.averages[0] for one in records]),
            torch.stack([one.averages[1] for one in records]),
        ),
        values=_values(oracle, profiles),
        gradient_calls=torch.tensor([one.gradient_calls for one in records], dtype=torch.float64),
        seconds=torch.tensor([one.seconds for one in records], dtype=torch.float64),
    )


def _stack(profiles: list[Profile]) -> Profile:
    def stacked(players: list[Population]) -> Population:
        positions = torch.stack([one.params[VECTOR] for one in players])
        return Population({VECTOR: positions}, torch.stack([one.log_weights for one in players]))

    return Profile(stacked([one.generators for one in profiles]), stacked([one.critics for one in profiles]))


def _values(oracle: AbstractOracle, profiles: Profile) -> Tensor:
    """The payoffs of a batch of profiles, in portions that fit into memory."""
    p, q = (player.log_weights for player in profiles)
    portion = max(1, _PAIRS_AT_ONCE // (p[0].numel() * q.shape[-1]))
    found = []
    for begin in range(0, p.shape[0], portion):
        part = take(profiles, slice(begin, begin + portion))
        oracle.resample()  # noise is drawn in the shape of what is asked, and leaves the payoff alone
        losses = oracle.feedback(part, GENERATORS).generator_losses
        found.append((weights(part.generators) * losses).sum(-1))
    return torch.cat(found)


def take(tree: T, index: int | slice | Tensor) -> T:
    """Every tensor of a history or a part of it at some records."""
    return map_leaves(lambda _, leaf: leaf[index] if isinstance(leaf, Tensor) else leaf, tree)


def mean_profile(history: History) -> Profile:
    """The mean of the played points over the records after the first: the averaged iterate of pure strategies.

    Of games whose domains are convex; mixed strategies are averaged by `mean_weights` or `mixture`.
    """
    return map_leaves(lambda _, leaf: leaf.mean(0) if isinstance(leaf, Tensor) else leaf, _played(history))


def mean_weights(history: History) -> Profile:
    """The last iterate's particles with the averages of the played weights: for finite games and grids."""
    last = take(history.profiles, -1)
    p, q = (one[-1].clamp_min(torch.finfo(one.dtype).tiny).log() for one in history.averages)
    return Profile(last.generators._replace(log_weights=p), last.critics._replace(log_weights=q))


def mean_path(player: Population) -> Float[Tensor, "R dim"]:
    """The mean strategies of a player's recorded mixtures [R, K, dim]."""
    return torch.einsum("rk,rkd->rd", weights(player), player.params[VECTOR])


def mixture(history: History) -> Profile:
    """The time-averaged mixed strategies: the particles played at the records after the first, all records alike.

    At most some thousand atoms are kept, of evenly spaced records. Of one game, not of a batch.
    """
    played = _played(history)
    count, most = len(played.generators.log_weights), max(len(one.log_weights[0]) for one in played)
    kept = torch.linspace(0, count - 1, min(count, max(1, _ATOMS // most))).round().long()

    def spread(player: Population) -> Population:
        log_weights = torch.log_softmax(player.log_weights[kept].flatten(), 0)
        return Population({VECTOR: player.params[VECTOR][kept].flatten(0, 1)}, log_weights)

    return Profile(spread(played.generators), spread(played.critics))


def _played(history: History) -> Profile:
    """What was played; the start if no step was made."""
    return take(history.played, slice(1, None)) if len(history.steps) > 1 else history.played
