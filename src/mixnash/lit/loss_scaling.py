"""Scaling the gradients that go through networks in float16, so that small ones do not vanish."""

from typing import Any, NamedTuple, final

import torch
import torch.distributed as dist
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.types import Feedback, Params
from mixnash.lit.parallel.collectives import sum_over
from mixnash.lit.parallel.mesh import Mesh
from mixnash.lit.parallel.traffic import Traffic

START, GROWTH_INTERVAL = 2.0**16, 2000
LEAST, MOST = 2.0**-14, 2.0**24


class LossScaleState(NamedTuple):
    """What the next step needs to know."""

    scale: float
    """S."""
    good_steps: int
    """Steps since S last changed."""


@final
class LossScale:
    r"""The factor S by which gradients are larger inside of networks than outside, so that float16 can hold them.

    S starts at :math:`2^{16}`, is halved after a step with a gradient that is not finite, which is skipped, and doubled
    after 2,000 steps in a row without one, as `torch.amp.GradScaler` does.

    References:
        Micikevicius et al., 2018, Mixed precision training, arXiv 1710.03740, section 3.2.
    """

    def __init__(self) -> None:
        self._state = LossScaleState(START, 0)
        self._overflows: list[Tensor] = []

    @property
    def state(self) -> LossScaleState:
        """S and its counter."""
        return self._state

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return self._state._asdict()

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint.

        Raises:
            InvalidInputError: when these are no such numbers.
        """
        require(
            saved.keys() == set(LossScaleState._fields)
            and all(isinstance(one, int | float) and one >= 0 for one in saved.values()),
            f"The checkpoint's loss scale is damaged: expected scale and good_steps, found {saved}.",
        )
        self._state = LossScaleState(float(saved["scale"]), int(saved["good_steps"]))

    def watched(self, feedback: Feedback) -> Feedback:
        """Notice gradients that are not finite, without waiting for the device, and put zeros in the place of them all.

        Then the rest of the step, which will be thrown away, meets nothing that is not finite.
        """
        asked = [grads for grads in (feedback.generator_grads, feedback.critic_grads) if grads is not None]
        if not asked:
            return feedback
        overflow = ~torch.stack([leaf.isfinite().all() for grads in asked for leaf in grads.values()]).all()
        self._overflows.append(overflow)

        def cleared(grads: Params | None) -> Params | None:
            if grads is None:
                return None
            return {name: leaf.masked_fill(overflow, 0.0) for name, leaf in grads.items()}

        return feedback._replace(
            generator_grads=cleared(feedback.generator_grads), critic_grads=cleared(feedback.critic_grads)
        )

    def accepts(self, mesh: Mesh, traffic: Traffic) -> bool:
        """Whether the step whose feedbacks were watched counts; S changes accordingly, equally on all processes.

        This waits for the device, once.

        Raises:
            InvalidInputError: when gradients overflow however small S is.
        """
        overflow = torch.stack(self._overflows).any().float() if self._overflows else torch.zeros(())
        self._overflows = []
        for group in (mesh.data_group, mesh.particle_group):
            if group is not None:
                overflow = _anyones(overflow, group, traffic)
        good = not bool(overflow)
        scale, steps = self._state
        if not good:
            require(
                scale > LEAST,
                f"Gradients in float16 overflow even with a loss scale of {scale:.2g}: what networks compute has grown "
                "too large for it. Use --trainer.precision bf16-mixed, or lower the step sizes.",
            )
            self._state = LossScaleState(scale / 2, 0)
        elif steps + 1 == GROWTH_INTERVAL:
            self._state = LossScaleState(min(2 * scale, MOST), 0)
        else:
            self._state = LossScaleState(scale, steps + 1)
        return good


def _anyones(flag: Tensor, group: dist.ProcessGroup, traffic: Traffic) -> Tensor:
    """Positive where the flag of any process of a group is."""
    total = flag.clone()
    sum_over(total, group, traffic)
    return total
