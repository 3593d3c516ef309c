"""Ways to keep a critic in its class of functions: one of them per game, so two can never be set at once."""

import abc
from typing import final

import torch
from torch import Tensor

from mixnash.core.errors import require
from mixnash.core.tree import map_params
from mixnash.core.types import Batch, Critic, Generate, Params


class AbstractCriticConstraint(abc.ABC):
    """Acts before an evaluation (`reparametrise`), after an update (`project`) or in the loss (`penalty`)."""

    bounds_slopes: bool
    """Whether steep critics are impossible or cost more than they win: their scores then differ by a bounded amount."""

    @abc.abstractmethod
    def reparametrise(self, params: Params) -> Params:
        """Effective parameters as a differentiable function of the stacked ones, leaves [L, ...]."""

    @abc.abstractmethod
    def project(self, params: Params) -> Params:
        """Stacked parameters after an update, back in the allowed set."""

    @abc.abstractmethod
    def penalty(self, generate: Generate, critic: Critic, batch: Batch) -> Tensor | None:
        """A non-negative number per pair (scalar, or [L, K]), or None where there is none."""


class AbstractFreeParameters(AbstractCriticConstraint, abc.ABC):
    """Leaves the parameters as they are."""

    def reparametrise(self, params: Params) -> Params:
        """The parameters themselves."""
        return params

    def project(self, params: Params) -> Params:
        """The parameters themselves."""
        return params


@final
class Unconstrained(AbstractFreeParameters):
    """Any critic is allowed."""

    bounds_slopes = False

    def penalty(self, generate: Generate, critic: Critic, batch: Batch) -> None:
        """None."""


@final
class LipschitzByConstruction(AbstractFreeParameters):
    """Nothing to do: the critic's own architecture bounds its slopes, as those of `networks.lipschitz` do.

    That is the user's word: a game sees functions only. With another critic a Wasserstein payoff has no bound.
    """

    bounds_slopes = True

    def penalty(self, generate: Generate, critic: Critic, batch: Batch) -> None:
        """None."""


@final
class WeightClipping(AbstractCriticConstraint):
    r"""Every parameter is clipped to :math:`[-c, c]` after each update.

    References:
        Arjovsky, Chintala, Bottou, 2017, Wasserstein GAN, arXiv 1701.07875, Algorithm 1 (c = 0.01).

    Args:
        bound: c > 0.

    Raises:
        InvalidInputError: when the bound is not positive.
    """

    bounds_slopes = True

    def __init__(self, bound: float = 0.01) -> None:
        require(bound > 0, f"The clipping bound must be positive, found {bound}.")
        self.bound = bound

    def reparametrise(self, params: Params) -> Params:
        """The parameters themselves."""
        return params

    def project(self, params: Params) -> Params:
        """Each entry clipped."""
        return map_params(lambda leaf: leaf.clamp(-self.bound, self.bound), params)

    def penalty(self, generate: Generate, critic: Critic, batch: Batch) -> None:
        """None."""


@final
class GradientPenalty(AbstractFreeParameters):
    r"""Penalty :math:`\lambda\, E (\|\nabla d(\hat x)\|_2 - c)^2` on :math:`\hat x = (1-u)\, x + u\, g(z)`, u uniform
    in [0, 1) and x real.

    One-sided, only slopes above c are penalised: :math:`\lambda\, E \max(0, \|\nabla d(\hat x)\|_2 - c)^2`.

    References:
        Gulrajani et al., 2017, Improved training of Wasserstein GANs, arXiv 1704.00028, equation 3 and Algorithm 1
        (lambda = 10 on images, 0.1 on the 2-D toys of the released code); Petzka, Fischer, Lukovnikov,
        2018, On the regularization of Wasserstein GANs, arXiv 1709.08894, equation 8 (one-sided).

    Args:
        weight: lambda > 0.
        target: c >= 0, the slope aimed at; 1 for Wasserstein, 0 centres the penalty at flat critics.
        one_sided: whether slopes below the target are free.

    Raises:
        InvalidInputError: when the weight is not positive or the target is negative.
    """

    bounds_slopes = True

    def __init__(self, weight: float = 10.0, target: float = 1.0, one_sided: bool = False) -> None:
        require(weight > 0, f"The gradient penalty's weight must be positive, found {weight}.")
        require(target >= 0, f"The gradient penalty's target must be at least 0, found {target}.")
        self.weight, self.target, self.one_sided = weight, target, one_sided

    def penalty(self, generate: Generate, critic: Critic, batch: Batch) -> Tensor:
        """The penalty of the class docstring, a mean over samples."""
        fake, real = generate(batch.latent).detach(), batch.anchor
        event_axes = fake.dim() - batch.mix.dim()
        mix = batch.mix.reshape(batch.mix.shape + (1,) * event_axes)
        gradient = critic.input_gradient(torch.lerp(real, fake, mix))
        # At a zero gradient the norm has no derivative; the clamp gives zero there instead of NaN.
        slope = gradient.flatten(-event_axes).square().sum(-1).clamp_min(1e-24).sqrt()
        excess = slope - self.target
        if self.one_sided:
            excess = excess.relu()
        return self.weight * batch.mean_of_generated(excess.square())


@final
class ZeroCentredPenalty(AbstractFreeParameters):
    r"""Penalty :math:`\frac{\gamma_1}{2} E \|\nabla d(x)\|_2^2 + \frac{\gamma_2}{2} E \|\nabla d(g(z))\|_2^2` on real
    samples x (R1) and on generated ones (R2).

    It flattens critics where samples are and says nothing of the space between, so a critic may still separate the two
    by a step as high as it likes.

    References:
        Mescheder, Geiger, Nowozin, 2018, Which training methods for GANs do actually converge?, arXiv 1801.04406,
        equations 9 (R1) and 10 (R2); Huang et al., 2024, arXiv 2501.05441 (both, with equal weights).

    Args:
        real_weight: gamma_1 >= 0; 0 leaves R1 out, and its cost.
        generated_weight: gamma_2 >= 0; 0 leaves R2 out.

    Raises:
        InvalidInputError: when a weight is negative, or both are 0.
    """

    bounds_slopes = False

    def __init__(self, real_weight: float = 1.0, generated_weight: float = 1.0) -> None:
        for name, weight in (("real_weight", real_weight), ("generated_weight", generated_weight)):
            require(weight >= 0, f"The {name} of a zero-centred penalty must be at least 0, found {weight}.")
        require(
            real_weight > 0 or generated_weight > 0,
            "A zero-centred penalty needs a positive real_weight or generated_weight, found 0 for both.",
        )
        self.real_weight, self.generated_weight = real_weight, generated_weight

    def penalty(self, generate: Generate, critic: Critic, batch: Batch) -> Tensor:
        """The penalty of the class docstring, means over samples; each critic's R1 is computed once."""
        event_axes = batch.real.dim() - batch.mix.dim()
        parts = []
        if self.real_weight > 0:
            parts.append(self.real_weight / 2 * batch.mean_of_real(_squared_slopes(critic, batch.real, event_axes)))
        if self.generated_weight > 0:
            fake = generate(batch.latent).detach()
            parts.append(self.generated_weight / 2 * batch.mean_of_generated(_squared_slopes(critic, fake, event_axes)))
        total = sum(parts[1:], parts[0])
        # R1 is [L, 1] for all pairs: the same for every generator.
        return total.expand(total.shape[:-1] + batch.mix.shape[:-1])


def _squared_slopes(critic: Critic, samples: Tensor, event_axes: int) -> Tensor:
    """|grad d|^2 of each sample."""
    return critic.input_gradient(samples).flatten(-event_axes).square().sum(-1)


@final
class LazyPenalty(AbstractCriticConstraint):
    r"""Another constraint whose penalty R is charged at every n-th step of training only, n times: :math:`n R` at steps
    0, n, 2 n, ... and nothing in between. All evaluations of a step, several critic updates or a look-ahead, agree.

    The mean over steps is R at 1 / n of its cost. Outside of training, such as in searches for deviations, the penalty
    is R itself.

    Karras et al. give the penalty an update of its own, so n + 1 updates in place of n, and make up for it by the step
    size of Adam times :math:`c = n / (n + 1)` and by :math:`\beta_1^c, \beta_2^c`. Here the penalty is a part of the
    step's own update, and nothing has to be rescaled. Adam's memory of squared gradients,
    :math:`1 / (1 - \beta_2)` steps, should still be much longer than n: otherwise the step that is penalised is scaled
    down by its own size, and the penalty acts with less than its weight.

    References:
        Karras et al., 2020, Analyzing and improving the image quality of StyleGAN, arXiv 1912.04958, section 3.1 and
        appendix B (n = 16 for R1).

    Args:
        constraint: what is charged; reparametrisation and projection are its own, at every step.
        interval: n >= 1.

    Raises:
        InvalidInputError: when the interval is below 1.
    """

    def __init__(self, constraint: AbstractCriticConstraint, interval: int = 16) -> None:
        require(interval >= 1, f"The interval of a lazy penalty must be at least 1 step, found {interval}.")
        self.constraint, self.interval = constraint, interval
        self.bounds_slopes = constraint.bounds_slopes

    def reparametrise(self, params: Params) -> Params:
        """The inner constraint's."""
        return self.constraint.reparametrise(params)

    def project(self, params: Params) -> Params:
        """The inner constraint's."""
        return self.constraint.project(params)

    def penalty(self, generate: Generate, critic: Critic, batch: Batch) -> Tensor | None:
        """The inner constraint's, n times or None by the batch's step."""
        if batch.step is None:
            return self.constraint.penalty(generate, critic, batch)
        if batch.step % self.interval > 0:
            return None
        penalty = self.constraint.penalty(generate, critic, batch)
        return None if penalty is None else self.interval * penalty


@final
class SpectralNormalization(AbstractCriticConstraint):
    r"""Every weight matrix is divided by its largest singular value, :math:`\bar W = W / \sigma(W)`.

    A pure function: the power iteration starts from the same vector in each call, so nothing has to be stored or
    mutated (torch's own parametrisation mutates a buffer and fails under `vmap`). The estimate is from below.

    References:
        Miyato et al., 2018, Spectral normalization for GANs, arXiv 1802.05957, equation 8 and Algorithm 1.

    Args:
        iterations: power iterations per call, at least 1; 10 are within a few per cent for random matrices.

    Raises:
        InvalidInputError: when there is no iteration.
    """

    bounds_slopes = True

    def __init__(self, iterations: int = 10) -> None:
        require(iterations >= 1, f"Spectral normalisation needs at least 1 power iteration, found {iterations}.")
        self.iterations = iterations

    def reparametrise(self, params: Params) -> Params:
        """Weights (leaves [L, out, ...] of at least three axes) divided by sigma; biases unchanged."""
        return {name: self._normalise(leaf) if leaf.dim() >= 3 else leaf for name, leaf in params.items()}

    def project(self, params: Params) -> Params:
        """The parameters themselves."""
        return params

    def penalty(self, generate: Generate, critic: Critic, batch: Batch) -> None:
        """None."""

    def _normalise(self, stacked: Tensor) -> Tensor:
        matrix = stacked.flatten(2)
        with torch.no_grad():
            # An irrational rotation has no symmetry that a weight matrix could be orthogonal to by construction.
            start = torch.arange(1, matrix.shape[2] + 1, device=matrix.device, dtype=matrix.dtype).mul(2.399963).sin()
            right = start.expand(matrix.shape[0], -1).unsqueeze(-1)
            for _ in range(self.iterations):
                left = torch.nn.functional.normalize(matrix @ right, dim=1)
                right = torch.nn.functional.normalize(matrix.mT @ left, dim=1)
        sigma = (left.mT @ matrix @ right).clamp_min(torch.finfo(matrix.dtype).tiny)
        return (matrix / sigma).reshape(stacked.shape)
