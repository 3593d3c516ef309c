"""The particles that a process has: all of them, or its share."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import final

import torch

from mixnash.core.types import Player, Population, Profile
from mixnash.lit.parallel.mesh import Mesh
from mixnash.lit.parallel.ownership import Ownership
from mixnash.lit.parallel.traffic import Traffic
from mixnash.lit.particles import AveragedParams, ParticleStore


@final
class Holdings:
    """Both players' stores, cut to what the process owns once that is known.

    Args:
        generators: the generators.
        critics: the critics.
        averaged: the generators' moving averages.
        traffic: counts what travels.
    """

    def __init__(
        self, generators: ParticleStore, critics: ParticleStore, averaged: AveragedParams, traffic: Traffic
    ) -> None:
        self._generators, self._critics, self._averaged, self._traffic = generators, critics, averaged, traffic
        self.own = Ownership(Mesh(), *self.counts, traffic)
        """Which particles are here."""
        self._whole: Mapping[bool, Profile] | None = None

    @property
    def counts(self) -> tuple[int, int]:
        """K and L, over all processes."""
        return len(self._generators.log_weights), len(self._critics.log_weights)

    def share_out(self, mesh: Mesh) -> None:
        """Keep the own share of both players, and nothing of the others'; once is enough.

        Raises:
            InvalidInputError: when there are more processes than particles of a player.
        """
        if mesh.particle_ranks == 1 or self.own.is_partial:
            return
        self.own = Ownership(mesh, *self.counts, self._traffic)
        for player, stores in self._stores().items():
            for store in stores.values():
                store.keep(self.own.shares[player])

    def _stores(self) -> dict[Player, dict[str, ParticleStore | AveragedParams]]:
        """By the names under which the module of both players saves them."""
        return {
            Player.GENERATOR: {"generators": self._generators, "averaged": self._averaged},
            Player.CRITIC: {"critics": self._critics},
        }

    def owners(self) -> dict[str, Player]:
        """Whose particles the rows of the saved tensors are."""
        return {
            f"{name}.{leaf}": player
            for player, stores in self._stores().items()
            for name, store in stores.items()
            for leaf in store.positions()
        }

    def profile(self, averaged: bool) -> Profile:
        """Both mixed strategies, the generators' positions averaged or raw; of positions, those that are here."""
        if self._whole is not None:
            return self._whole[averaged]
        generators = self._generators.population()
        if averaged:
            generators = Population(self._averaged.params(), generators.log_weights)
        return Profile(generators, self._critics.population())

    @contextmanager
    def whole(self, device: torch.device) -> Iterator[None]:
        """Bring all particles to the first process for a while; all processes must enter together.

        Args:
            device: where they go.
        """
        if self.own.is_partial:
            raw, averaged = self.profile(averaged=False), self.profile(averaged=True)
            critics = self._brought(Player.CRITIC, raw.critics, device)
            self._whole = {
                mean: Profile(self._brought(Player.GENERATOR, one.generators, device), critics)
                for mean, one in ((False, raw), (True, averaged))
            }
        try:
            yield
        finally:
            self._whole = None

    def _brought(self, player: Player, population: Population, device: torch.device) -> Population:
        return population._replace(params=self.own.whole_params(player, population.params, device))
