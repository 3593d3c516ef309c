"""An oracle that counts what a dynamics asks for and remembers where it asked."""

from typing import final

import torch

from mixnash.core.types import (
    BOTH,
    AbstractLinearisation,
    AbstractOracle,
    Feedback,
    Params,
    Player,
    Players,
    Point,
    Profile,
)


@final
class RecordingOracle(AbstractOracle):
    """Another oracle, with a count of its gradients and the last profile it was asked about.

    One evaluation for both players counts 1, for one player 1/2; a linearisation counts 1 and every product with it
    counts 1.

    Args:
        oracle: answers.
    """

    def __init__(self, oracle: AbstractOracle) -> None:
        self._oracle = oracle
        self._halves = 0
        self._joint: Profile | None = None
        self._last: Profile | None = None

    @property
    def gradient_calls(self) -> float:
        """The count so far."""
        return self._halves / 2

    def forget(self) -> None:
        """Begin a step: `played` then speaks of this step only."""
        self._joint = self._last = None

    def played(self) -> Profile | None:
        """The profile of the last evaluation for both players, or for any where there was none; None without any."""
        return self._joint or self._last

    def resample(self) -> None:
        """The other oracle's."""
        self._oracle.resample()

    def feedback(self, profile: Profile, players: Players) -> Feedback:
        """The other oracle's answer."""
        self._last = profile
        if players == BOTH:
            self._joint = profile
        self._halves += len(players)
        return self._oracle.feedback(profile, players)

    def linearise(self, profile: Profile) -> AbstractLinearisation:
        """The other oracle's derivative, whose products are counted."""
        self._halves += 2
        return _Counted(self._oracle.linearise(profile), self)

    def count_product(self) -> None:
        """One product with a derivative was computed."""
        self._halves += 2

    def project(self, player: Player, params: Params) -> Params:
        """The other oracle's projection."""
        return self._oracle.project(player, params)

    def propose(self, player: Player, shape: tuple[int, ...], rng: torch.Generator) -> Params | None:
        """The other oracle's proposals."""
        return self._oracle.propose(player, shape, rng)

    def unwrap(self, player: Player, params: Params, reference: Params) -> Params:
        """By the other oracle."""
        return self._oracle.unwrap(player, params, reference)


@final
class _Counted(AbstractLinearisation):
    """A derivative that reports its products."""

    def __init__(self, linearisation: AbstractLinearisation, counter: RecordingOracle) -> None:
        self._linearisation, self._counter = linearisation, counter

    def pullback(self, cotangent: Point) -> Point:
        """J^T c."""
        self._counter.count_product()
        return self._linearisation.pullback(cotangent)

    def pushforward(self, tangent: Point) -> Point:
        """J v."""
        self._counter.count_product()
        return self._linearisation.pushforward(tangent)
