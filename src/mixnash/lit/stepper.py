"""Makes the steps of a population's run: the dynamics, its state, and how evaluations are made."""

from typing import Any, NamedTuple, final

from jaxtyping import Bool
from torch import Tensor

from mixnash.core.accumulation import Accumulated
from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.feedback import Evaluate
from mixnash.core.pairwise import Pairwise
from mixnash.core.sections import section
from mixnash.core.tree import Leaf, flatten, unflatten
from mixnash.core.types import Feedback, Networks, Profile, RuleState
from mixnash.lit.compiled import evaluated_on
from mixnash.lit.finite import FiniteGuard
from mixnash.lit.imagined_training import ImaginedTraining
from mixnash.lit.mixed_precision import NetworkPrecision
from mixnash.lit.parallel.mesh import Mesh
from mixnash.lit.parallel.ownership import Ownership
from mixnash.lit.parallel.traffic import Traffic
from mixnash.lit.reduce import combine
from mixnash.lit.step_memory import StepMemory, fitting_parts
from mixnash.lit.step_oracles import StepOracles, most_parts

STATE = "mixnash_state"
"""The key of the dynamics' state in a checkpoint."""
PRECISION = "mixnash_precision"
"""The key of the loss scale in a checkpoint; missing where there was none."""


class Moved(NamedTuple):
    """What a step did."""

    profile: Profile
    """Where the own particles are now."""
    newcomers: Bool[Tensor, " K"] | None
    """Generators that took another one's place."""
    seen: Feedback
    """What the generators moved on."""


class Place(NamedTuple):
    """Where this process is among the others, and what it owns."""

    mesh: Mesh
    own: Ownership
    traffic: Traffic


@final
class Stepper:
    """The steps of a run on one process.

    Args:
        dynamics: moves the players.
        oracles: what its steps play against.
        networks: both architectures, and as they are called where gradients are taken of all pairs at once.
        place: of this process.
        precision: of what networks compute.
        guard: watches losses.
        fixed_parts: parts of a batch, over all processes, that evaluations are made in; None for as few as fit.
    """

    def __init__(
        self,
        dynamics: AbstractDynamics,
        oracles: StepOracles,
        networks: tuple[Networks, Networks],
        place: Place,
        precision: NetworkPrecision,
        guard: FiniteGuard,
        fixed_parts: int | None,
    ) -> None:
        self._dynamics, self._oracles, self._networks = dynamics, oracles, networks
        self._place, self._precision, self._guard = place, precision, guard
        self._fixed_parts, self._parts = fixed_parts, (1, 1)
        self._state: RuleState = None
        if fixed_parts is not None:
            oracles.check_equal_parts(fixed_parts)

    def begin(self, profile: Profile, saved: dict[str, Leaf] | None) -> None:
        """Make the dynamics' state where the parameters are, or restore that of the whole population.

        Args:
            profile: the own particles.
            saved: what `saved` gave; None to begin.
        """
        self._state = self._dynamics.init(profile)
        if saved is not None:
            own = self._place.own
            self._state = unflatten(self._state, own.cut(saved, own.owners(self._dynamics, profile)))

    def saved(self, profile: Profile) -> dict[str, Any]:
        """What goes into checkpoints, of the whole population on the first process."""
        own = self._place.own
        state = own.collected(flatten(self._state), own.owners(self._dynamics, profile))
        return {STATE: state, PRECISION: self._precision.state_dict()}

    def advance(self, real: Tensor, number: int, evaluate: Evaluate) -> Moved:
        """Make one step.

        Args:
            real: the step's real samples [draws, B, *event].
            number: steps made before it.
            evaluate: the game at once; split up here.
        """
        mesh, own, traffic = self._place
        plain, fast = (self._precision.around(one) for one in self._networks)
        in_parts = self._precision.watched(evaluated_on(fast, own.evaluated(self._in_parts(evaluate))))

        def completed(feedback: Feedback) -> Feedback:
            whole = combine(feedback, mesh, traffic, pairwise=self._fixed_parts is not None)
            self._guard.watch(number, whole.values, whole.critic_losses)
            return whole

        oracle = self._oracles.oracle(real, number, plain, in_parts, completed)
        before = self._state
        with section("dynamics"):
            self._state, seen = self._dynamics.step(before, oracle, self._oracles.noise(real.device, number))
        if not self._precision.accepts(mesh, traffic):
            self._state = before
        profile = self._dynamics.profile(self._state)
        return Moved(profile, self._dynamics.newcomers(before, self._state), seen)

    def _in_parts(self, evaluate: Evaluate) -> Evaluate:
        if self._fixed_parts is not None:
            return Pairwise(self._fixed_parts // self._place.mesh.data_ranks, evaluate)
        return Accumulated(*self._parts, evaluate)

    def diagnostics(self) -> dict[str, float]:
        """The dynamics' own."""
        return self._dynamics.diagnostics(self._state)

    def fit_into(self, limit: float, training: ImaginedTraining, critics: int) -> None:
        """Split evaluations until a step takes no more than so many GiB.

        Args:
            limit: positive.
            training: this run.
            critics: L.

        Raises:
            InvalidInputError: when the smallest parts take more.
        """
        most = most_parts(self._oracles, critics, self._place.mesh.particle_ranks)
        self._parts = fitting_parts(lambda *parts: training.memory(Accumulated(*parts), *parts), limit, *most)

    def memory(self, training: ImaginedTraining) -> StepMemory:
        """What a step of this run takes, in the parameters' precision."""
        if self._fixed_parts is None:
            return training.memory(Accumulated(*self._parts), *self._parts)
        parts = self._fixed_parts // self._place.mesh.data_ranks
        return training.memory(Pairwise(parts), parts)
