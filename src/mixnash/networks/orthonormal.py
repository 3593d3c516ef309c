r"""Layers that cannot stretch distances, by deel-torchlip's functions as pure functions of the parameters.

The modules of deel-torchlip keep the vectors of a power iteration and the last weights in buffers that every training
pass overwrites; a population, whose step is a pure function, cannot have those. What is pure there is used as it is:
the Björck iteration, the sorting of groups, and the factor of a strided convolution. The iteration's test for the end
looks at numbers, so `vmap` refuses it: particles go one by one through it, which their small matrices do not mind.
"""

import importlib
from types import ModuleType
from typing import final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mixnash.core.errors import require
from mixnash.core.types import Params
from mixnash.networks.stacked_layers import run_stacked

SQUARINGS = 5
"""With r rows the bound on the spectral norm is at most r^(1 / 2^7) times too large: 4 % for 128 rows."""

EXACT = 4
"""deel-torchlip's Björck iteration takes derivatives of its first four rounds only, so it is called for no more."""


def torchlip(module: str) -> ModuleType:
    """A module of deel-torchlip.

    Raises:
        InvalidInputError: when the package is not installed.
    """
    try:
        return importlib.import_module(f"deel.torchlip.{module}")
    except ModuleNotFoundError:
        found = False
    require(found, "1-Lipschitz critics need the package deel-torchlip: pip install 'mixnash[lipschitz]'.")
    raise AssertionError


def spectral_bound(matrix: Tensor) -> Tensor:
    r"""An upper bound on the largest singular value, tight to r^(1 / 2^(m + 2)) - 1 for r rows and m squarings.

    From :math:`G_0 = M M^T, G_{i+1} = G_i^2`: the Frobenius norm of :math:`G_m` lies between :math:`\sigma^{2^{m+1}}`
    and :math:`\sqrt r` times that. Unlike a power iteration it draws nothing, keeps nothing and errs to one side.

    References:
        Delattre, Barthélemy, Araujo, Allauzen, 2023, Efficient bound of Lipschitz constant for convolutional layers by
        Gram iteration, arXiv 2305.16173.

    Args:
        matrix: [rows, columns].
    """
    gram = matrix @ matrix.mT if matrix.shape[0] <= matrix.shape[1] else matrix.mT @ matrix
    log_bound = torch.zeros((), dtype=matrix.dtype, device=matrix.device)
    power = 2
    for _ in range(SQUARINGS):
        norm = torch.linalg.matrix_norm(gram).clamp_min(torch.finfo(matrix.dtype).tiny)
        log_bound = log_bound + norm.log() / power
        gram, power = (gram / norm) @ (gram / norm), 2 * power
    norm = torch.linalg.matrix_norm(gram).clamp_min(torch.finfo(matrix.dtype).tiny)
    return torch.as_tensor((log_bound + norm.log() / power).exp())


def orthonormal(weight: Tensor, iterations: int) -> Tensor:
    r"""The weights of one particle with all singular values in [0, 1], most of them close to 1.

    Divided by their `spectral_bound`, then moved by :math:`W \leftarrow \tfrac 3 2 W - \tfrac 1 2 W W^T W`, which maps
    singular values of [0, 1] into [0, 1] and leaves 0 and 1 alone: the layer is 1-Lipschitz after any number of rounds.

    References:
        Björck, Bowie, 1971, An iterative algorithm for computing the best estimate of an orthogonal matrix; Anil,
        Lucas, Grosse, 2019, Sorting out Lipschitz function approximation, arXiv 1811.05381.

    Args:
        weight: [out, ...], a matrix after flattening.
        iterations: rounds, at least 0.
    """
    normalizers = torchlip("normalizers")
    matrix = weight.flatten(1)
    matrix = matrix / spectral_bound(matrix)
    for done in range(0, iterations, EXACT):
        rounds = min(EXACT, iterations - done)
        # With an eps of 0 it makes every round, whatever the numbers.
        matrix = torch.as_tensor(normalizers.bjorck_normalization(matrix, 0.0, 0.5, rounds))
    return matrix.reshape(weight.shape)


@final
class Orthonormal(nn.Module):
    """A linear layer or convolution with its weights made `orthonormal`, times a factor.

    Args:
        inner: the layer, whose parameters stay free.
        factor: what the flattened weights are to be multiplied by for a 1-Lipschitz layer; 1 for a linear one.
        iterations: rounds of the Björck iteration.
    """

    def __init__(self, inner: nn.Linear | nn.Conv2d, factor: float, iterations: int) -> None:
        super().__init__()
        self.inner = inner
        self._factor, self._iterations = factor, iterations
        nn.init.orthogonal_(inner.weight)

    def effective(self, weight: Tensor) -> Tensor:
        """The weights that the layer of one particle uses."""
        return self._factor * orthonormal(weight, self._iterations)

    def forward(self, inputs: Tensor) -> Tensor:
        """As the inner layer."""
        own = {**dict(self.inner.named_parameters()), "weight": self.effective(self.inner.weight)}
        return torch.as_tensor(functional_call(self.inner, own, (inputs,)))


@run_stacked.register
def _(module: Orthonormal, params: Params, name: str, inputs: Tensor) -> Tensor:
    key = f"{name}.inner.weight"
    weight = torch.stack([module.effective(one) for one in params[key].unbind()])
    return run_stacked(module.inner, {**params, key: weight}, f"{name}.inner", inputs)


@final
class SortedPairs(nn.Module):
    """Sorts channels in pairs, the unit that keeps the norm of gradients.

    References:
        Anil, Lucas, Grosse, 2019, arXiv 1811.05381 (GroupSort with groups of 2).
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """[n, channels, ...], an even number of channels."""
        return torch.as_tensor(torchlip("functional").group_sort_2(inputs))
