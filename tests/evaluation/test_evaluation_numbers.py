import json
import math

import numpy as np
import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.population import size
from mixnash.core.random import Purpose, stream
from mixnash.evaluation.evaluate import PAYOFF_LATENT, PAYOFF_REAL, REPEATS, Result, evaluate
from mixnash.evaluation.load import load_run
from mixnash.metrics.functional.mmd import unbiased_mmd_squared
from mixnash.metrics.functional.mode_coverage import perfect_sampler
from mixnash.metrics.functional.transport import exact_wasserstein2, sliced_wasserstein2

COUNT = 400


@pytest.fixture(scope="module")
def run(mixture_run):
    return load_run(mixture_run, None, device="cpu")


@pytest.fixture(scope="module")
def result(run):
    return evaluate(run, COUNT, seed=3)


def draw_by_hand(run, seed, prefix, count=COUNT):
    """Samples of the mixture straight from the saved tensors: latents first, then who transforms them."""
    state = run.module.state_dict()
    rng = stream(torch.device("cpu"), seed, Purpose.EVALUATION)
    latent = torch.randn(count, 2, generator=rng)
    origin = torch.multinomial(state["generators.log_weights"].exp(), count, replacement=True, generator=rng)
    leaves = {name.removeprefix(prefix): leaf for name, leaf in state.items() if name.startswith(prefix)}
    hidden = torch.einsum("noi,ni->no", leaves["layers/0/weight"][origin], latent) + leaves["layers/0/bias"][origin]
    output = torch.einsum("noi,ni->no", leaves["layers/1/weight"][origin], hidden.relu())
    return output + leaves["layers/1/bias"][origin]


def mode_scores_by_hand(samples, mixture):
    """Quality, modes and reverse KL in numpy."""
    points, centres = samples.double().numpy(), mixture.centres.double().numpy()
    distance = np.linalg.norm(points[:, None] - centres, axis=2) / mixture.scales.double().numpy()
    good = distance.min(1) < 3
    counts = np.bincount(distance.argmin(1)[good], minlength=len(centres))
    shares, weights = counts / counts.sum(), np.array([0.5, 0.3, 0.2])
    kl = sum(h * math.log(h / w) for h, w in zip(shares, weights, strict=True) if h > 0)
    return {"high_quality": good.mean(), "modes": (counts > 0).sum(), "reverse_kl": kl}


def test_mode_scores_equal_those_of_samples_drawn_by_hand(run, result):
    expected = mode_scores_by_hand(draw_by_hand(run, 3, "averaged."), run.data.mixture)
    assert 0 < expected["high_quality"] < 1
    assert {name: result.metrics[name] for name in expected} == pytest.approx(expected, rel=1e-5)


def test_raw_positions_are_scored_when_asked_for(run, result):
    raw = evaluate(run, COUNT, seed=3, averaged=False)
    expected = mode_scores_by_hand(draw_by_hand(run, 3, "generators."), run.data.mixture)
    assert {name: raw.metrics[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert raw.metrics["sliced_wasserstein2"] != result.metrics["sliced_wasserstein2"]
    assert raw.game["payoff_value"] != result.game["payoff_value"]
    assert raw.about["averaged"] is False


def test_distances_are_those_to_as_many_held_out_samples(run, result):
    samples, reference = draw_by_hand(run, 3, "averaged."), run.data.held_out(COUNT)
    cpu = torch.device("cpu")
    sliced = sliced_wasserstein2(samples, reference, 128, stream(cpu, 0))
    assert result.metrics["sliced_wasserstein2"] == pytest.approx(float(sliced), rel=1e-5)
    assert result.metrics["wasserstein2"] == pytest.approx(float(exact_wasserstein2(samples, reference)), rel=1e-5)
    span = run.data.limits[1] - run.data.limits[0]
    mmd = unbiased_mmd_squared(samples, reference, [span / 64, span / 16, span / 4])
    assert result.metrics["mmd_squared"] == pytest.approx(float(mmd), rel=1e-4)


def test_one_particle_is_scored_on_its_own_samples(run, result):
    particle = 1
    alone = evaluate(run, COUNT, seed=3, particle=particle)
    rng = stream(torch.device("cpu"), 3, Purpose.EVALUATION)
    samples = run.module.sample(COUNT, rng, particle).values
    assert alone.metrics["high_quality"] == pytest.approx(
        mode_scores_by_hand(samples, run.data.mixture)["high_quality"]
    )
    assert alone.about["particle"] == particle
    assert alone.metrics["sliced_wasserstein2"] != result.metrics["sliced_wasserstein2"]
    assert alone.game == result.game


def test_perfect_mode_scores_are_those_of_as_many_samples(run, result):
    expected = perfect_sampler(run.data.mixture, COUNT, 3.0)
    assert {name: result.perfect[name] for name in expected} == expected


def test_perfect_distances_are_mean_and_deviation_over_sets_of_training_samples(run, result):
    reference = run.data.held_out(COUNT)
    distances = [
        float(
            sliced_wasserstein2(run.data.training_draws(index, COUNT), reference, 128, stream(torch.device("cpu"), 0))
        )
        for index in range(REPEATS)
    ]
    assert result.perfect["sliced_wasserstein2"] == pytest.approx(np.mean(distances), rel=1e-5)
    assert result.perfect["sliced_wasserstein2_std"] == pytest.approx(np.std(distances, ddof=1), rel=1e-4)
    assert "wasserstein2_std" in result.perfect
    assert "mmd_squared" not in result.perfect


def test_game_numbers_follow_from_weights_and_payoffs(run, result):
    profile = run.module.profile(averaged=True)
    p, q = (population.log_weights.double().exp() for population in profile)
    assert float(p.max() - p.min()) > 1e-3  # unequal weights, or the test would say little
    rng = stream(torch.device("cpu"), 3, Purpose.EVALUATION, 1)
    latent = torch.randn(size(profile.generators), PAYOFF_LATENT, 2, generator=rng)
    payoffs = run.module.payoffs(run.data.held_out(PAYOFF_REAL), latent, averaged=True).double()
    rows, columns = payoffs @ q, p @ payoffs
    assert payoffs.shape == (3, 2)
    assert result.game["generators"] == 3
    assert result.game["critics"] == 2
    assert result.game["generator_effective_size"] == pytest.approx(1 / float((p**2).sum()))
    assert result.game["generator_entropy"] == pytest.approx(-float((p * p.log()).sum()))
    assert result.game["critic_effective_size"] == pytest.approx(2.0)
    assert result.game["payoff_value"] == pytest.approx(float(p @ rows))
    assert result.game["payoff_min"] == pytest.approx(float(payoffs.min()))
    assert result.game["payoff_max"] == pytest.approx(float(payoffs.max()))
    assert result.game["payoff_gap"] == pytest.approx(float(columns.max() - rows.min()))
    assert result.game["payoff_gap"] > 0
    # latent 2, width 8, event 2; times three particles. Critics: event 2, width 8, score 1; times two.
    assert result.game["parameters_generators"] == 3 * (2 * 8 + 8 + 8 * 2 + 2)
    assert result.game["parameters_critics"] == 2 * (2 * 8 + 8 + 8 + 1)


def test_about_says_what_was_evaluated(run, result):
    assert result.about["experiment"] == "three-modes"
    assert result.about["checkpoint"] == str(run.checkpoint_path)
    assert (result.about["step"], result.about["num_samples"], result.about["seed"]) == (10, COUNT, 3)
    assert (result.about["averaged"], result.about["particle"], result.about["num_modes"]) == (True, None, 3)
    assert "3 modes, sigma 0.05 to 0.08, within 3 sigma (Euclidean), n = 400" in result.about["protocol"]


def test_equal_seeds_give_equal_records_and_other_seeds_others(run, result):
    again = evaluate(run, COUNT, seed=3)
    other = evaluate(run, COUNT, seed=4)
    assert json.dumps(again.flat()) == json.dumps(result.flat())
    assert other.metrics["sliced_wasserstein2"] != result.metrics["sliced_wasserstein2"]


def test_evaluation_leaves_global_random_states_alone(run):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    evaluate(run, 50)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


def test_plane_without_modes_has_distances_and_no_protocol(wgan_run):
    result = evaluate(load_run(wgan_run, None), 100)
    assert set(result.metrics) == {"sliced_wasserstein2", "wasserstein2", "mmd_squared"}
    assert result.about["protocol"] is None
    assert result.about["num_modes"] is None
    assert (result.game["generators"], result.game["payoff_gap"]) == (1, 0)


def test_images_are_compared_with_held_out_images(digits_run):
    run = load_run(digits_run, None)
    result = evaluate(run, 100)
    samples = run.module.sample(100, stream(torch.device("cpu"), 0, Purpose.EVALUATION)).values.flatten(1)
    expected = sliced_wasserstein2(samples, run.data.held_out(100).flatten(1), 128, stream(torch.device("cpu"), 0))
    assert result.metrics["sliced_wasserstein2"] == pytest.approx(float(expected), rel=1e-5)
    assert result.images.samples.values.flatten(1).equal(samples)
    assert result.metrics["fd_random_cnn"] > result.perfect["fd_random_cnn"] > 0
    assert 0 < result.perfect["sliced_wasserstein2"] < result.metrics["sliced_wasserstein2"]


def test_flat_record_has_every_number_under_its_own_key(result):
    flat = result.flat()
    count = len(result.metrics) + len(result.perfect) + len(result.game) + len(result.about)
    assert len(flat) == count
    assert flat["high_quality"] == result.metrics["high_quality"]
    assert flat["perfect_high_quality_std"] == result.perfect["high_quality_std"]


def test_flat_record_writes_what_is_not_finite_as_text():
    metrics = {"a": math.inf, "b": -math.inf, "c": math.nan, "d": 1.5}
    flat = Result(metrics, {"a": math.inf}, {}, {"step": 3}).flat()
    assert flat == {"step": 3, "a": "inf", "b": "-inf", "c": "nan", "d": 1.5, "perfect_a": "inf"}
    assert json.loads(json.dumps(flat, allow_nan=False)) == flat


@pytest.mark.parametrize("count", [0, -4])
def test_no_samples_are_refused(run, count):
    with pytest.raises(InvalidInputError, match=f"num_samples must be at least 1, found {count}"):
        evaluate(run, count)


@pytest.mark.parametrize("particle", [3, -1])
def test_particles_that_do_not_exist_are_refused(run, particle):
    with pytest.raises(InvalidInputError, match=f"no particle {particle}: this run has 3"):
        evaluate(run, 10, particle=particle)
