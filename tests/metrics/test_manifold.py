import math

import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch_fidelity.metric_prc import calculate_precision_recall_full

from mixnash.core.errors import InvalidInputError
from mixnash.metrics.functional.manifold import manifold_scores, manifold_scores_reference, perfect_manifold
from mixnash.metrics.functional.neighbours import nearest, nearest_neighbours
from mixnash.metrics.manifold import PrecisionRecallDensityCoverage


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def two_sets(n: int, m: int, axes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two overlapping laws, with copies within the sets and across."""
    fakes, reals = torch.randn(n, axes, generator=rng(seed)), 0.3 + 0.8 * torch.randn(m, axes, generator=rng(seed + 1))
    fakes[::7], reals[::11] = fakes[3], reals[5]
    fakes[1::13] = reals[2]
    return fakes, reals


def numbers(scores: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in scores.items()}


def line(*points: float) -> Tensor:
    return torch.tensor(points, dtype=torch.float32).unsqueeze(1)


def test_scores_of_points_on_a_line_by_hand():
    # Balls of the reals: [-1, 1], [0, 2], [1, 5], [5.5, 8.5], [7, 10]; of the fakes: [1.5, 2.5], [2, 3], [2.5, 21.5],
    # [29, 31], [30, 32], [31, 33]. The fake at 2 is on a surface.
    scores = numbers(manifold_scores(line(2, 2.5, 12, 30, 31, 32), line(0, 1, 3, 7, 8.5), k=1))
    assert scores == pytest.approx({"precision": 2 / 6, "recall": 3 / 5, "density": 3 / 6, "coverage": 2 / 5})


def test_second_neighbours_on_a_line_by_hand():
    # Balls of the reals: [-3, 3], [-1, 3], [0, 6], [1, 13]; of the fakes: [1.5, 6.5], [3.5, 6.5], [4, 9].
    scores = numbers(manifold_scores(line(4, 5, 6.5), line(0, 1, 3, 7), k=2))
    assert scores == pytest.approx({"precision": 1.0, "recall": 2 / 4, "density": 5 / 6, "coverage": 2 / 4})


@pytest.mark.parametrize("axes", [1, 3, 40])
@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("chunk", [7, 32, 1024])
def test_blocks_of_any_size_equal_the_reference_with_whole_matrices(axes, k, chunk):
    fakes, reals = two_sets(60, 47, axes)
    assert manifold_scores(fakes, reals, k, chunk) == manifold_scores_reference(fakes, reals, k)


def test_blocks_equal_the_reference_for_tight_sets_far_from_the_origin():
    fakes, reals = two_sets(60, 47, 8)
    fakes, reals = (1e3 + 1e-3 * points for points in (fakes, reals))
    reals[0] = 900
    assert manifold_scores(fakes, reals, 3, 16) == manifold_scores_reference(fakes, reals, 3)


def test_scores_agree_with_neighbours_of_scikit_learn():
    fakes, reals = two_sets(150, 120, 6)
    k, x, y = 4, fakes.double().numpy(), reals.double().numpy()

    def radii(points):
        # Asked for no points, kneighbors leaves each one out of its own neighbours by index.
        return NearestNeighbors(n_neighbors=k).fit(points).kneighbors()[0][:, -1]

    across = cdist(x, y)
    in_real, in_fake = across <= radii(y) + 1e-9, across <= radii(x)[:, None] + 1e-9
    expected = {
        "precision": in_real.any(1).mean(),
        "recall": in_fake.any(0).mean(),
        "density": in_real.sum() / (k * 150),
        "coverage": in_real.any(0).mean(),
    }
    assert numbers(manifold_scores(fakes, reals, k, 32)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [3, 5])
def test_precision_and_recall_agree_with_torch_fidelity(k):
    fakes = torch.randn(400, 24, generator=rng(3))
    reals = 0.2 + 0.9 * torch.randn(350, 24, generator=rng(4))
    precision, recall = calculate_precision_recall_full(fakes, reals, neighborhood=k)
    scores = numbers(manifold_scores(fakes, reals, k))
    assert 0.05 < scores["recall"] < 0.99 > scores["precision"] > 0.05
    assert (scores["precision"], scores["recall"]) == pytest.approx((precision, recall), rel=1e-3)


def test_identical_sets_hold_each_other_and_have_density_one_plus_one_over_k():
    points = torch.randn(200, 10, generator=rng())
    assert numbers(manifold_scores(points, points.clone(), 5, 64)) == pytest.approx(
        {"precision": 1.0, "recall": 1.0, "density": 1.2, "coverage": 1.0}
    )


def test_sets_of_copies_of_one_point_hold_each_other():
    point = torch.full((1, 30), 0.1)
    scores = numbers(manifold_scores(point.expand(9, 30), point.expand(12, 30), k=4))
    assert scores == {"precision": 1.0, "recall": 1.0, "density": 12 / 4, "coverage": 1.0}


def test_copies_of_another_point_hold_nothing():
    scores = manifold_scores(torch.full((9, 3), 0.1), torch.full((12, 3), 0.1 + 1e-6), k=4)
    assert set(numbers(scores).values()) == {0.0}


def test_more_copies_of_a_real_sample_than_k_make_a_ball_of_no_width():
    assert float(manifold_scores(line(-1e-3, 50, 60), line(0, 0, 0, 100), k=2)["precision"]) == pytest.approx(2 / 3)
    assert float(manifold_scores(line(0, 500, 600), line(0, 0, 0, 100), k=2)["density"]) == pytest.approx(4 / 6)


def test_collapse_to_one_real_sample_has_precision_without_recall_or_coverage():
    reals = torch.randn(100, 5, generator=rng())
    scores = numbers(manifold_scores(reals[:1].expand(40, 5), reals))
    assert scores["precision"] == 1.0
    assert scores["recall"] == pytest.approx(1 / 100)
    assert scores["coverage"] < 0.2


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_fakes_that_are_not_finite_are_in_no_ball_and_hold_nothing(bad):
    fakes, reals = two_sets(40, 30, 3)
    broken = fakes.clone()
    broken[::4, 1] = bad
    kept = torch.ones(40, dtype=torch.bool)
    kept[::4] = False
    expected = numbers(manifold_scores(fakes[kept], reals, 3))
    expected |= {name: expected[name] * 30 / 40 for name in ("precision", "density")}
    assert numbers(manifold_scores(broken, reals, 3, 16)) == pytest.approx(expected)


def test_fakes_that_are_all_broken_score_zero():
    scores = numbers(manifold_scores(torch.full((10, 3), math.nan), torch.randn(10, 3, generator=rng())))
    assert set(scores.values()) == {0.0}


def test_means_of_a_perfect_sampler_are_those_of_repeated_draws():
    # Of standard normals in the plane; five standard errors of the mean.
    found = torch.tensor(
        [
            [float(scores["density"]), float(scores["coverage"])]
            for seed in range(150)
            for points in [torch.randn(70, 2, generator=rng(seed))]
            for scores in [manifold_scores(points[:40], points[40:], k=3)]
        ]
    )
    expected = perfect_manifold(40, 30, 3)
    error = 5 * found.std(dim=0) / math.sqrt(150)
    assert float(error[1]) < 0.03
    assert expected["density"] == pytest.approx(float(found[:, 0].mean()), abs=float(error[0]))
    assert expected["coverage"] == pytest.approx(float(found[:, 1].mean()), abs=float(error[1]))


def test_perfect_coverage_of_large_sets_is_one_minus_two_to_minus_k():
    assert perfect_manifold(10**7, 10**7, 5)["coverage"] == pytest.approx(1 - 2**-5, abs=1e-5)


class LargestTensor(TorchDispatchMode):
    """Remembers the size of the largest tensor that was made."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple) else (made,):
            if isinstance(tensor, Tensor):
                self.elements = max(self.elements, tensor.numel())
        return made


def test_no_tensor_is_larger_than_a_block_or_the_features():
    fakes, reals = torch.randn(900, 4, generator=rng()), torch.randn(800, 4, generator=rng(1))
    with LargestTensor() as largest:
        manifold_scores(fakes, reals, 5, chunk=64)
    assert largest.elements <= max(64 * 64, 900 * 5)


def test_neighbours_are_sorted_and_those_of_scikit_learn():
    queries, references = two_sets(50, 70, 5)
    found = nearest_neighbours(queries, references, 6, chunk=16)
    expected, _ = NearestNeighbors(n_neighbors=6).fit(references.double().numpy()).kneighbors(queries.double().numpy())
    torch.testing.assert_close(found.distances, torch.from_numpy(expected), rtol=1e-12, atol=1e-12)
    measured = (queries.double().unsqueeze(1) - references.double()[found.indices]).norm(dim=2)
    torch.testing.assert_close(found.distances, measured, rtol=1e-12, atol=0)


def test_a_sample_is_left_out_by_index_while_its_copies_stay():
    points = line(0, 5, 5, 9)
    found = nearest_neighbours(points, points, 1, excluded=torch.arange(4), chunk=2)
    assert found.distances.squeeze(1).tolist() == [5, 0, 0, 4]
    assert found.indices[1:3].squeeze(1).tolist() == [2, 1]


def test_nearest_gives_distance_and_row_and_is_infinite_for_broken_queries():
    distance, row = nearest(torch.tensor([[0.0, 1.0], [math.nan, 0.0], [7.0, 8.0]]), line(1, 7, -3).expand(3, 2), 2)
    assert distance.tolist() == [1.0, math.inf, 1.0]
    assert row[[0, 2]].tolist() == [0, 1]


def test_nearest_of_no_queries_is_empty():
    distance, row = nearest(torch.zeros(0, 2), torch.zeros(3, 2))
    assert distance.shape == row.shape == (0,)


def test_too_few_samples_are_refused_with_the_number_needed():
    with pytest.raises(InvalidInputError, match="k = 5 need at least 6 samples on both sides, found 9 generated and 5"):
        manifold_scores(torch.zeros(9, 2), torch.zeros(5, 2))
    with pytest.raises(InvalidInputError, match="found 2 generated"):
        perfect_manifold(2, 9)
    with pytest.raises(InvalidInputError, match="at least 7 samples to choose from, found 6"):
        nearest_neighbours(torch.zeros(3, 2), torch.zeros(6, 2), 7)


def test_impossible_arguments_are_refused(no_shape_checks):
    with pytest.raises(InvalidInputError, match="equally many features"):
        manifold_scores(torch.zeros(9, 2), torch.zeros(9, 3))
    with pytest.raises(InvalidInputError, match="found k = 0"):
        manifold_scores(torch.zeros(9, 2), torch.zeros(9, 2), 0)
    with pytest.raises(InvalidInputError, match="finite reference features"):
        manifold_scores(torch.zeros(9, 2), torch.full((9, 2), math.nan))
    with pytest.raises(InvalidInputError, match="max_samples of at least 6, found 5"):
        PrecisionRecallDensityCoverage(max_samples=5)
    with pytest.raises(InvalidInputError, match="at least 1, found 0"):
        PrecisionRecallDensityCoverage(k=0)
    metric = PrecisionRecallDensityCoverage()
    metric.update(torch.zeros(3, 2), torch.zeros(9, 2))
    with pytest.raises(InvalidInputError, match="at least 6 samples on both sides"):
        metric.compute()


def kept_values(batches: list[int], cap: int, seed: int = 0, total: int = 100) -> list[float]:
    """Which of the numbers 0, 1, ... a capped metric compares when they come in such batches."""
    metric = PrecisionRecallDensityCoverage(k=1, max_samples=cap, seed=seed)
    for values in torch.arange(float(total)).split(batches):
        metric.update(values.unsqueeze(1), -values.unsqueeze(1))
    rows, _ = metric._least(metric.features, metric.keys)
    return rows.squeeze(1).tolist()


def test_at_most_max_samples_are_kept_whatever_the_batches():
    whole = kept_values([100], 20)
    assert len(set(whole)) == 20
    assert whole == sorted(whole) == kept_values([7, 50, 1, 42], 20) == kept_values([1] * 100, 20)
    assert whole != kept_values([100], 20, seed=1)


def test_every_row_has_the_same_chance_to_be_kept_whatever_its_place():
    counts = torch.zeros(100)
    for seed in range(200):
        counts[torch.tensor(kept_values([30, 70], 25, seed)).long()] += 1
    # Of 200 choices each row is in 50 in the mean, with a standard deviation of 6.1; blocks of 25 rows: 1,250, 23.
    assert counts.min() > 50 - 5 * 6.2
    assert counts.max() < 50 + 5 * 6.2
    assert (counts.view(4, 25).sum(1) - 1250).abs().max() < 5 * 27


def test_memory_stays_below_twice_the_cap():
    metric = PrecisionRecallDensityCoverage(k=1, max_samples=10)
    for _ in range(40):
        metric.update(torch.zeros(3, 2), torch.zeros(7, 2))
        assert max(sum(map(len, metric.features)), sum(map(len, metric.reference_features))) < 20


def test_capped_scores_are_those_of_the_rows_that_were_kept_on_both_sides():
    fakes, reals = two_sets(90, 80, 3)
    metric = PrecisionRecallDensityCoverage(k=2, max_samples=30, seed=4)
    metric.update(fakes, reals)
    rows, _ = metric._least(metric.features, metric.keys)
    references, _ = metric._least(metric.reference_features, metric.reference_keys)
    assert len(rows) == len(references) == 30
    assert metric.compute() == manifold_scores_reference(rows, references, 2)
    assert metric.perfect() == perfect_manifold(30, 30, 2)
