"""What holds for the metric classes of classifier logits and of features, whatever they measure."""

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

from mixnash.metrics.functional.manifold import manifold_scores
from mixnash.metrics.functional.memorisation import memorisation_scores
from mixnash.metrics.functional.stacked_modes import perfect_stacked, product_law, stacked_scores, stacked_statistics
from mixnash.metrics.manifold import PrecisionRecallDensityCoverage
from mixnash.metrics.memorisation import Memorisation
from mixnash.metrics.stacked_modes import StackedModes

LAW = product_law(torch.tensor([[1.0, 2.0, 3.0], [2.0, 2.0, 1.0]]))
CUT = 45
"""Where the data is split between updates and between processes: unevenly."""


def normal(count: int, *shape: int, seed: int) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


def data() -> dict[str, Tensor]:
    return {
        "features": normal(130, 4, seed=0),
        "reference_features": normal(130, 4, seed=1),
        "logits": 5 * normal(130, 2, 3, seed=2),
    }


def memorisation() -> Memorisation:
    metric = Memorisation(level=0.05)
    metric.set_training(normal(60, 4, seed=3))
    return metric


class Case(NamedTuple):
    make: Callable[[], Metric]
    arguments: tuple[str, ...]
    expected: Callable[..., dict[str, Tensor]]


CASES = {
    "manifold": Case(
        lambda: PrecisionRecallDensityCoverage(k=4, max_samples=130, chunk=32),
        ("features", "reference_features"),
        lambda x, y: manifold_scores(x, y, 4),
    ),
    "memorisation": Case(
        memorisation,
        ("features", "reference_features"),
        lambda x, y: memorisation_scores(x, y, normal(60, 4, seed=3), 0.05),
    ),
    "stacked_modes": Case(
        lambda: StackedModes(LAW, 0.9, channels=2, classes=3),
        ("logits",),
        lambda logits: stacked_scores(stacked_statistics(logits, 0.9), LAW),
    ),
}
every_metric = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def part(case: Case, rows: slice) -> list[Tensor]:
    return [data()[name][rows] for name in case.arguments]


def close(found: dict[str, Tensor], case: Case) -> None:
    expected = case.expected(*part(case, slice(None)))
    assert found.keys() == expected.keys()
    for key in expected:
        torch.testing.assert_close(found[key], expected[key], rtol=1e-12, atol=1e-12)


@every_metric
def test_updates_through_pickling_and_a_cast_equal_the_function_in_float64(case):
    module = torch.nn.ModuleList([case.make()])
    module.to(torch.bfloat16).half()
    module[0].update(*part(case, slice(9)))
    module[0].reset()
    module[0].update(*part(case, slice(CUT)))
    revived = pickle.loads(pickle.dumps(module[0]))
    revived.update(*part(case, slice(CUT, None)))
    found = revived.compute()
    close(found, case)
    assert all(value.dtype == torch.float64 and value.shape == () for value in found.values())


@every_metric
def test_global_random_state_is_not_moved_and_no_graph_or_checkpoint_kept(case):
    state, metric = torch.get_rng_state(), case.make()
    metric.update(*(values.requires_grad_() for values in part(case, slice(None))))
    found = metric.compute()
    if isinstance(metric, StackedModes | PrecisionRecallDensityCoverage):
        metric.perfect()
    assert torch.equal(state, torch.get_rng_state())
    assert not any(value.requires_grad for value in found.values())
    assert not metric.state_dict()
    assert (metric.is_differentiable, metric.full_state_update, metric.higher_is_better) == (False, False, None)


def test_a_collection_hands_each_metric_its_own_arguments():
    collection = MetricCollection({name: case.make() for name, case in CASES.items()})
    for rows in (slice(CUT), slice(CUT, None)):
        collection.update(**{name: values[rows] for name, values in data().items()})
    found = collection.compute()
    assert len(found) == sum(len(case.expected(*part(case, slice(None)))) for case in CASES.values())
    for case in CASES.values():
        close({name: found[name] for name in case.expected(*part(case, slice(None)))}, case)


def _score_half(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found: dict[str, object] = {}
    for name, case in CASES.items():
        metric = case.make()
        metric.update(*part(case, (slice(CUT), slice(CUT, None))[rank]))
        found[name] = metric.compute()
        if isinstance(metric, StackedModes):
            found["protocol"], found["perfect"] = metric.protocol(), metric.perfect()
    capped = PrecisionRecallDensityCoverage(k=2, max_samples=20)
    capped.update(*part(CASES["manifold"], (slice(CUT), slice(CUT, None))[rank]))
    found["capped"], found["capped_perfect"] = capped.compute(), capped.perfect()
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.distributed
def test_two_processes_with_a_part_of_the_data_each_score_as_one_with_all(tmp_path: Path):
    mp.spawn(_score_half, (str(tmp_path),), nprocs=2)
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for scores in found:
        for name, case in CASES.items():
            close(scores[name], case)
        assert "n = 130," in scores["protocol"]
        assert scores["perfect"] == perfect_stacked(130, LAW)
        assert scores["capped_perfect"]["coverage"] == pytest.approx(1 - 19 * 18 / (39 * 38))
    assert found[0]["capped"] == found[1]["capped"]
