r"""Best responses to a mixture of networks, searched for by gradients from many starts at once.

Candidates :math:`d'_1, \dots, d'_R` of the critics climb :math:`E_\mu F(\cdot, d')`, each on its own, while the mixture
:math:`\mu` of generators stands still; candidates of the generators go down against :math:`\nu`. They are evaluated as
one population of R: a particle's own weight does not scale its gradient.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

import torch

from mixnash.core.errors import require
from mixnash.core.feedback import feedback
from mixnash.core.games.base import AbstractGame
from mixnash.core.population import make_population, size
from mixnash.core.rules.base import AbstractPositionRule
from mixnash.core.types import Batch, Networks, Params, Player, Players, Profile


def deviating(profile: Profile, player: Player, candidates: Params) -> Profile:
    """The profile with candidates [R, ...] of equal weight in place of a player's own mixture."""
    population = make_population(candidates)
    if player is Player.GENERATOR:
        return Profile(population, profile.critics)
    return Profile(profile.generators, population)


def response_path(
    game: AbstractGame,
    networks: Networks,
    opponents: Profile,
    player: Player,
    starts: Params,
    rule: AbstractPositionRule,
    draw: Callable[[Players], Batch],
    rng: torch.Generator,
) -> Iterator[Params]:
    """The candidates of `train_responses` after 1, 2, 3, ... updates, without end."""
    side: Players = frozenset({player})
    params, state = starts, rule.init(starts)
    while True:
        profile = deviating(opponents, player, params)
        batch = draw(side).for_generators(size(profile.generators))
        seen = feedback(game, networks, profile, batch, side)
        grads = seen.generator_grads if player is Player.GENERATOR else seen.critic_grads
        assert grads is not None
        params, state = rule.update(params, grads, state, rng)
        params = game.project(player, params)
        yield params


def train_responses(
    game: AbstractGame,
    networks: Networks,
    opponents: Profile,
    player: Player,
    starts: Params,
    rule: AbstractPositionRule,
    steps: int,
    draw: Callable[[Players], Batch],
    rng: torch.Generator,
) -> Params:
    r"""Move R pure strategies of a player towards best responses to the opponent's fixed mixture.

    With the rule's update U and the projection of the game,

    .. math:: d'_r \leftarrow \text{proj}\, U\Bigl(\sum_k p_k \nabla_{d'_r} (\ell_D + \text{penalty})(g_k, d'_r)\Bigr),
              \qquad g'_r \leftarrow \text{proj}\, U\Bigl(\sum_l q_l \nabla_{g'_r} \ell_G(g'_r, d_l)\Bigr),

    so deviators pay the penalty that players pay, and generators descend the loss that they are trained with, which may
    be another one than the payoff.

    Args:
        game: what is played.
        networks: both architectures.
        opponents: both mixtures; only that of the player's opponent matters.
        player: whose responses.
        starts: leaves [R, ...].
        rule: moves the candidates; acts element by element, so each one moves on its own.
        steps: updates, at least 0.
        draw: fresh draws for each update, made for any number of generators and repeated where there are more.
        rng: of the rule's noise.

    Returns:
        Leaves [R, ...], in the order of the starts.

    Raises:
        InvalidInputError: when the number of steps is negative.
    """
    require(steps >= 0, f"A search for best responses needs at least 0 steps, found {steps}.")
    path = response_path(game, networks, opponents, player, starts, rule, draw, rng)
    last = deque(islice(path, steps), maxlen=1)
    return last[0] if last else starts
