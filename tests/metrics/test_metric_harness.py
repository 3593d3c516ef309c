"""What holds for every metric class of samples and features, whatever it measures."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from mixnash.core.errors import InvalidInputError
from mixnash.core.mixtures import make_mixture, sample_mixture
from mixnash.core.random import stream
from mixnash.metrics.frechet import FrechetDistance
from mixnash.metrics.functional.frechet import frechet_distance_of_features
from mixnash.metrics.functional.inception_score import inception_score
from mixnash.metrics.functional.kernel_distance import subset_kernel_distances
from mixnash.metrics.functional.mmd import unbiased_mmd_squared
from mixnash.metrics.functional.mode_coverage import mode_scores, mode_statistics, perfect_sampler
from mixnash.metrics.functional.transport import exact_wasserstein2, sliced_wasserstein2
from mixnash.metrics.inception_score import InceptionScore
from mixnash.metrics.kernel_distance import KernelDistance
from mixnash.metrics.mmd import MaximumMeanDiscrepancy
from mixnash.metrics.mode_coverage import ModeCoverage
from mixnash.metrics.transport import SlicedWasserstein2, Wasserstein2
from mixnash.metrics.two_sample import cut

MIXTURE = make_mixture(
    torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]), torch.tensor([1.0, 0.5, 0.25]), torch.tensor([1.0, 2.0, 5.0])
)
CUT = 30
"""Where the data is split between updates and between processes: unevenly."""


class Case(NamedTuple):
    make: Callable[[], Metric]
    arguments: int
    """How many of (samples, reference) `update` takes."""
    expected: Callable[[Tensor, Tensor], dict[str, Tensor]]
    better: tuple[bool | None, ...] = (None, False)
    """What `higher_is_better` may be."""


def kernel_distances(samples: Tensor, reference: Tensor) -> dict[str, Tensor]:
    """Over 3 subsets of 20 of the 50 that are compared on each side."""
    compared = cut(samples, reference, 50, 50, seed=4)
    found = subset_kernel_distances(*compared, 3, 20, stream(torch.device("cpu"), 4, 1))
    return {"kd_plane": found.mean, "kd_plane_std": found.deviation}


CASES = {
    "mode_coverage": Case(
        lambda: ModeCoverage(MIXTURE, 2.0, (1, 7)),
        1,
        lambda x, _: mode_scores(mode_statistics(x, MIXTURE, 2.0), MIXTURE, 2.0, (1, 7)),
    ),
    "wasserstein2": Case(Wasserstein2, 2, lambda x, y: {"wasserstein2": exact_wasserstein2(x, y)}),
    "sliced_wasserstein2": Case(
        lambda: SlicedWasserstein2(16, seed=3),
        2,
        lambda x, y: {"sliced_wasserstein2": sliced_wasserstein2(x, y, 16, stream(torch.device("cpu"), 3))},
    ),
    "mmd": Case(
        lambda: MaximumMeanDiscrepancy([0.5, 4.0]),
        2,
        lambda x, y: {"mmd_squared": unbiased_mmd_squared(x, y, (0.5, 4.0))},
    ),
    "frechet_distance": Case(
        lambda: FrechetDistance("fd_plane"), 2, lambda x, y: {"fd_plane": frechet_distance_of_features(x, y)}
    ),
    "kernel_distance": Case(lambda: KernelDistance("kd_plane", 3, 20, max_samples=50, seed=4), 2, kernel_distances),
    "inception_score": Case(InceptionScore, 1, lambda x, _: {"inception_score": inception_score(x).mean}, (True,)),
}
every_metric = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def data(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    samples = sample_mixture(MIXTURE, 80, rng)
    samples[::9] += 1.5
    return samples.to(dtype), sample_mixture(MIXTURE, 80, rng).to(dtype)


def part(case: Case, rows: slice) -> list[Tensor]:
    return [values[rows] for values in data()[: case.arguments]]


def close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for key in expected:
        torch.testing.assert_close(found[key], expected[key], rtol=1e-12, atol=1e-12)


@every_metric
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_class_equals_function_and_gives_finite_float64_scalars(case, dtype):
    metric, values = case.make(), data(dtype)
    metric.update(*values[: case.arguments])
    found = metric.compute()
    close(found, case.expected(*values))
    assert all(value.dtype == torch.float64 and value.shape == () and value.isfinite() for value in found.values())


@every_metric
def test_two_updates_equal_one(case):
    metric = case.make()
    metric.update(*part(case, slice(CUT)))
    metric.update(*part(case, slice(CUT, None)))
    close(metric.compute(), case.expected(*data()))


@every_metric
def test_reset_forgets_everything(case):
    metric = case.make()
    metric.update(*part(case, slice(CUT)))
    metric.reset()
    metric.update(*part(case, slice(None)))
    close(metric.compute(), case.expected(*data()))


@every_metric
def test_a_pickled_metric_goes_on_where_it_was(case):
    metric = case.make()
    metric.update(*part(case, slice(CUT)))
    revived = pickle.loads(pickle.dumps(metric))
    revived.update(*part(case, slice(CUT, None)))
    close(revived.compute(), case.expected(*data()))


@every_metric
def test_a_cast_of_the_surrounding_module_changes_no_score(case):
    module = torch.nn.ModuleList([case.make()])
    module.to(torch.bfloat16).half()
    module[0].update(*part(case, slice(None)))
    close(module[0].compute(), case.expected(*data()))


@every_metric
def test_global_random_state_is_neither_read_nor_moved(case):
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state, metric = torch.get_rng_state(), case.make()
        metric.update(*part(case, slice(None)))
        found.append(metric.compute())
        assert torch.equal(state, torch.get_rng_state())
    close(found[0], found[1])


@every_metric
def test_samples_with_gradients_leave_no_graph_in_the_state(case):
    metric = case.make()
    metric.update(*(values.requires_grad_() for values in part(case, slice(None))))
    assert not any(value.requires_grad for value in metric.compute().values())


@every_metric
def test_flags_are_declared(case):
    metric = case.make()
    assert metric.is_differentiable is False
    assert metric.full_state_update is False
    assert metric.higher_is_better in case.better


@every_metric
def test_state_is_no_part_of_a_checkpoint(case):
    assert not case.make().state_dict()


def test_nearest_modes_are_counted_over_updates():
    metric, samples = ModeCoverage(MIXTURE, 2.0), data()[0]
    metric.update(samples[:CUT])
    metric.update(samples[CUT:])
    assert torch.equal(metric.near, mode_statistics(samples, MIXTURE, 2.0).near)


def test_a_collection_gives_flat_keys():
    two_sample = {name: case for name, case in CASES.items() if case.arguments == 2}
    collection = MetricCollection({name: case.make() for name, case in two_sample.items()})
    collection.update(*data())
    found = collection.compute()
    assert {"wasserstein2", "sliced_wasserstein2", "mmd_squared", "fd_plane", "kd_plane_std"} < set(found)
    assert set(found) == {key for case in two_sample.values() for key in case.expected(*data())}


def test_protocol_names_what_was_measured():
    metric = ModeCoverage(make_mixture(torch.zeros(1, 2), torch.full((1,), 0.05)))
    metric.update(data()[0])
    assert metric.protocol() == (
        "1 modes, sigma 0.05, within 3 sigma (Euclidean), n = 80, at least 1 / 20 samples per mode, "
        "KL to the data's mode weights, nats"
    )


def test_protocol_gives_the_range_of_unequal_scales_and_own_minimum_counts():
    metric = ModeCoverage(MIXTURE, 2.5, (1, 7, 9))
    assert "3 modes, sigma 0.25 to 1, within 2.5 sigma" in metric.protocol()
    assert "n = 0, at least 1 / 7 / 9 samples" in metric.protocol()


def test_perfect_is_that_of_as_many_samples():
    metric = ModeCoverage(MIXTURE, 2.0, (1, 7))
    metric.update(data()[0])
    assert metric.perfect(seed=5) == perfect_sampler(MIXTURE, 80, 2.0, (1, 7), seed=5)
    assert metric.perfect().keys() == {key + end for key in metric.compute() for end in ("", "_std")}


def test_perfect_before_the_first_sample_is_refused():
    with pytest.raises(InvalidInputError, match="update the metric first"):
        ModeCoverage(MIXTURE).perfect()


def test_mode_coverage_refuses_impossible_protocols_at_once():
    with pytest.raises(InvalidInputError, match="The threshold must be finite"):
        ModeCoverage(MIXTURE, threshold=0.0)
    with pytest.raises(InvalidInputError, match="at least 1 sample to count"):
        ModeCoverage(MIXTURE, min_counts=(0,))


def _score_half(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found: dict[str, object] = {}
    for name, case in CASES.items():
        metric = case.make()
        metric.update(*part(case, (slice(CUT), slice(CUT, None))[rank]))
        found[name] = metric.compute()
    coverage = ModeCoverage(MIXTURE, 2.0, (1, 7))
    coverage.update(*part(CASES["mode_coverage"], (slice(CUT), slice(CUT, None))[rank]))
    found["protocol"], found["perfect"] = coverage.protocol(), coverage.perfect()
    shared = FrechetDistance("fd_plane", dimension=2)  # one process may be left without samples
    nothing = torch.zeros(0, 2)
    shared.update(*(data() if rank == 0 else (nothing, nothing)))
    found["shared"] = shared.compute()
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.distributed
def test_two_processes_with_half_of_the_data_each_score_as_one_with_all(tmp_path: Path):
    mp.spawn(_score_half, (str(tmp_path),), nprocs=2)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        for name, case in CASES.items():
            close(found[name], case.expected(*data()))
        close(found["shared"], CASES["frechet_distance"].expected(*data()))
        assert "n = 80," in found["protocol"]
        assert found["perfect"] == perfect_sampler(MIXTURE, 80, 2.0, (1, 7))
