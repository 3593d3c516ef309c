r"""Distillation as regression: one generator learns where each latent is sent by the mixture.

A last latent coordinate c chooses the teacher: :math:`u = \Phi(c)` lies in the k-th of K bins as wide as the teachers'
weights :math:`p_k`. The student G minimises

.. math:: \sum_k p_k\, E_{z, c \mid k} \| G(z, c) - g_k(z) \|^2, \qquad c \mid k \ \text{on the flat part of bin k},

estimated with equally many draws of each teacher. There is no adversary. Latents of the narrow ramps between two bins
are left out: no continuous generator can leap, and its error there would drown the others.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mixnash.core.errors import NonFiniteError, require
from mixnash.core.population import size, weights
from mixnash.core.random import Purpose, stream
from mixnash.distillation.teacher import Teacher
from mixnash.networks.distilled import DistilledGenerator

WATCHED = 50
"""Steps between two looks at the loss."""
_TESTED = 4096
"""Latents of each teacher behind the final error, at most."""


class Settings(NamedTuple):
    """Size of the student and how it learns."""

    width: int = 128
    depth: int = 3
    steps: int = 10_000
    batch_size: int = 1024
    step_size: float = 3e-3
    """Of Adam at first; falls to 0 along a cosine."""
    seed: int = 0


def check_settings(settings: Settings) -> None:
    """Refuse impossible sizes.

    Raises:
        InvalidInputError: when a size is below 1 or the step size is not positive and finite.
    """
    for name in ("width", "depth", "steps", "batch_size"):
        value = getattr(settings, name)
        require(value >= 1, f"--{name} must be at least 1, found {value}.")
    require(
        math.isfinite(settings.step_size) and settings.step_size > 0,
        f"--step_size must be positive and finite, found {settings.step_size}.",
    )


def make_student(teacher: Teacher, event_shape: tuple[int, ...], settings: Settings) -> DistilledGenerator:
    """A new student whose bins are as wide as the teachers' weights, on their device.

    The global random state stays as it was.

    Raises:
        InvalidInputError: when it would have more parameters than the mixture.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)
        student = DistilledGenerator(
            event_shape, teacher.latent_dim + 1, size(teacher.generators), settings.width, settings.depth
        )
    sizes = count_parameters(dict(student.named_parameters())), count_parameters(teacher.generators.params)
    require(
        sizes[0] <= sizes[1],
        f"A generator of width {settings.width} and depth {settings.depth} has {sizes[0]:,} parameters, more than the "
        f"{sizes[1]:,} of the whole mixture: distilling would not compress it. Choose a smaller --width or --depth.",
    )
    shares = weights(teacher.generators).double()
    with torch.no_grad():
        student.edges.copy_((shares / shares.sum()).cumsum(0)[:-1])
    student.edges.requires_grad_(False)  # the bins are the mixture's weights
    return student.to(shares.device)


def count_parameters(params: dict[str, Tensor]) -> int:
    """How many numbers these parameters are."""
    return sum(leaf.numel() for leaf in params.values())


def regress(
    student: DistilledGenerator, teacher: Teacher, settings: Settings, watch: Callable[[int, float], None]
) -> None:
    """Train the student in place; a function of its parameters, the teacher and the settings.

    Args:
        student: from `make_student`.
        teacher: the mixture.
        settings: how long, and on how many draws per step.
        watch: called now and then with the steps made and the latest loss.

    Raises:
        NonFiniteError: when the loss is no longer finite.
    """
    shares = weights(teacher.generators)
    rng = stream(shares.device, settings.seed, Purpose.DISTILLATION)
    each = math.ceil(settings.batch_size / len(shares))
    optimizer = torch.optim.Adam([leaf for leaf in student.parameters() if leaf.requires_grad], settings.step_size)
    for step in range(settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.step_size * (1 + math.cos(math.pi * step / settings.steps)) / 2
        loss = shares @ _squared_errors(student, teacher, each, rng)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if (step + 1) % WATCHED == 0 or step + 1 == settings.steps:
            latest = float(loss.detach())
            if not math.isfinite(latest):
                raise NonFiniteError(
                    f"The loss of the distillation became {latest} within {step + 1} steps. Lower --step_size."
                )
            watch(step + 1, latest)


@torch.no_grad()
def regression_error(student: DistilledGenerator, teacher: Teacher, settings: Settings) -> float:
    """Root mean squared distance of the student's samples to the teachers', on latents not seen before."""
    shares = weights(teacher.generators)
    rng = stream(shares.device, settings.seed, Purpose.DISTILLATION, 1)
    return math.sqrt(float(shares @ _squared_errors(student, teacher, _TESTED // len(shares) + 1, rng)))


def _squared_errors(
    student: DistilledGenerator, teacher: Teacher, each: int, rng: torch.Generator
) -> Float[Tensor, " K"]:
    """Mean squared distance to each teacher on `each` latents of it."""
    edges = student.edges
    latent = torch.randn(len(edges) + 1, each, teacher.latent_dim, generator=rng, device=edges.device)
    chooser = draw_chooser(edges, student.ramp, each, rng)
    with torch.no_grad():
        target = teacher.apply(teacher.generators.params, latent)
    made = student(torch.cat([latent, chooser.unsqueeze(-1)], -1).flatten(0, 1))
    squares: Tensor = (made.reshape(target.shape) - target).flatten(2).square().sum(-1)
    return squares.mean(1)


def draw_chooser(edges: Float[Tensor, " E"], ramp: float, each: int, rng: torch.Generator) -> Float[Tensor, "E+1 n"]:
    r"""The latent coordinate c that chooses a teacher: standard normal given that :math:`\Phi(c)` is on a flat part.

    Args:
        edges: between the bins of u.
        ramp: w; a bin is flat from w / 2 behind its lower edge to w / 2 before its upper one. Bins narrower than w
            have no flat part, and are represented by their middle.
        each: draws per bin.
        rng: of the draws.
    """
    zero = edges.new_zeros(1)
    low, high = torch.cat([zero, edges + ramp / 2]), torch.cat([edges - ramp / 2, zero + 1])
    middle, reach = (low + high) / 2, ((high - low) / 2).clamp_min(0)
    place = 2 * torch.rand(len(low), each, generator=rng, device=edges.device) - 1
    height = middle.unsqueeze(1) + reach.unsqueeze(1) * place
    tiny = torch.finfo(height.dtype).eps
    chooser: Tensor = torch.special.ndtri(height.clamp(tiny, 1 - tiny))
    return chooser
