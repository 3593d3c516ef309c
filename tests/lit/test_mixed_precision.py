"""Networks in half precision, everything else in that of the parameters."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision

from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import feedback
from mixnash.core.games.constraints import GradientPenalty, SpectralNormalization
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.population import make_population
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.tree import flatten
from mixnash.core.types import BOTH, Batch, Feedback, NetworkFunctions, Networks, Profile
from mixnash.data.digits import Digits
from mixnash.lit.loss_scaling import GROWTH_INTERVAL, START, LossScale
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.lit.mixed_precision import NetworkPrecision, in_precision, scaled_inside
from mixnash.lit.parallel.mesh import Mesh
from mixnash.lit.parallel.traffic import Traffic
from mixnash.lit.stepper import PRECISION, STATE
from mixnash.networks.dcgan import DCGANCritic, DCGANGenerator
from training import mixed_gan, ring, rules

SGD_LIKE = 0.1
"""Adam's epsilon: so large that small gradients do not decide signs, which rounding would turn around."""


def dynamics():
    return Alternating(
        rules(Adam(2e-3, 0.5, 0.9, SGD_LIKE), EntropicMirrorDescent(0.1)),
        rules(Adam(1e-3, 0.0, 0.9, SGD_LIKE), EntropicMirrorDescent(0.1)),
    )


def of_points():
    return mixed_gan(dynamics())


def of_points_with_spectral_norms():
    return mixed_gan(dynamics(), game=Hinge(SpectralNormalization(3)))


def of_images():
    generator, critic = partial(DCGANGenerator, latent_dim=4, width=4), partial(DCGANCritic, width=4)
    with torch.random.fork_rng():
        torch.manual_seed(11)
        game = Wasserstein(GradientPenalty(0.7))
        return MixedGAN((1, 8, 8), generator, critic, game, dynamics(), num_generators=2, num_critics=2, seed=5)


PROBLEMS = {
    "points": (of_points, ring),
    "points with spectral norms": (of_points_with_spectral_norms, ring),
    "images": (of_images, lambda: Digits(batch_size=8, validation_size=60)),
}


class Kept(pl.Callback):
    """Checkpoints after each step."""

    def __init__(self):
        self.after = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        checkpoint = trainer._checkpoint_connector.dump_checkpoint()
        self.after.append({key: checkpoint.get(key) for key in ("state_dict", STATE, PRECISION)})


def trained(module, folder, data, precision=None, plugin=None, steps=4, evaluate=False, restart=None):
    kept = Kept()
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=steps,
        callbacks=[kept],
        logger=False,
        log_every_n_steps=2,
        check_val_every_n_epoch=None,
        val_check_interval=steps,
        limit_val_batches=1.0 if evaluate else 0,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
        precision=precision,
        plugins=None if plugin is None else [plugin],
    )
    trainer.fit(module, datamodule=data, ckpt_path=restart)
    return kept.after, {name: float(one) for name, one in trainer.callback_metrics.items()}


def positions(module):
    return flatten(module.profile(averaged=False)._asdict())


def distance(one, other):
    """Relative, over all leaves."""
    square = sum((leaf - other[path]).double().square().sum() for path, leaf in one.items())
    return float((square / sum(leaf.double().square().sum() for leaf in other.values())).sqrt())


@pytest.mark.parametrize("problem", PROBLEMS)
def test_bfloat16_training_is_near_that_in_float32(problem, tmp_path):
    make, data = PROBLEMS[problem]
    start, plain, mixed = make(), make(), make()
    trained(plain, tmp_path, data())
    after, scores = trained(mixed, tmp_path, data(), "bf16-mixed", evaluate=True)
    moved = distance(positions(plain), positions(start))
    assert 0 < distance(positions(mixed), positions(plain)) < 0.1 * moved
    kept = {**after[-1]["state_dict"], **after[-1][STATE]}
    assert {leaf.dtype for leaf in kept.values() if isinstance(leaf, torch.Tensor)} <= {torch.float32, torch.int64}
    assert all(torch.tensor(score).isfinite() for score in scores.values())
    assert after[-1][PRECISION] == {}


def test_losses_and_log_weights_are_summed_in_float32():
    """Nothing but networks is rounded: with exact networks, bf16-mixed changes no number."""

    def identity(params, inputs):
        return inputs * params["scale"].reshape(-1, 1, 1)  # no product that autocast would round

    def score(params, inputs):
        return inputs[..., 0] * params["slope"].reshape(-1, 1)

    networks = Networks(NetworkFunctions(identity, identity), NetworkFunctions(score, score))
    rng = torch.Generator().manual_seed(0)
    profile = Profile(
        make_population({"scale": torch.rand(3, generator=rng)}, torch.tensor([0.1, 0.7, -0.3])),
        make_population({"slope": torch.rand(2, generator=rng)}, torch.tensor([0.9, -0.4])),
    )
    draw = partial(torch.rand, generator=rng)
    batch = Batch(draw(1, 12, 2), draw(3, 4, 2), draw(3, 4, 2), draw(3, 4))
    game, precision = Wasserstein(GradientPenalty(0.5)), NetworkPrecision(torch.bfloat16)
    expected = feedback(game, networks, profile, batch, BOTH)
    with torch.autocast("cpu", torch.bfloat16), precision.alone(torch.device("cpu")):
        seen = feedback(game, precision.around(networks), profile, batch, BOTH)
    for name, one in flatten(expected._asdict()).items():
        assert torch.equal(flatten(seen._asdict())[name], one), name


def test_double_precision_runs_in_double_precision(tmp_path):
    start, module = of_points(), of_points()
    after, scores = trained(module, tmp_path, ring(), "64-true", evaluate=True)
    kept = {**after[-1]["state_dict"], **after[-1][STATE]}
    assert {leaf.dtype for leaf in kept.values() if isinstance(leaf, torch.Tensor)} == {torch.float64}
    assert 1e-4 < distance(positions(module), positions(start)) < 0.1
    assert all(torch.tensor(score).isfinite() for score in scores.values())


# Gradients that float16 cannot hold


def linear(params, inputs):
    return inputs @ params["weight"]


def test_gradients_that_float16_loses_survive_scaling():
    inputs = torch.full((1, 4, 2), 1.0)
    leaf = {"weight": torch.ones(1, 2, 1, requires_grad=True)}
    slopes = {}
    for name, function in {
        "exact": linear,
        "plain": in_precision(linear, torch.float16),
        "scaled": scaled_inside(in_precision(linear, torch.float16), START),
    }.items():
        loss = (1e-9 * function(leaf, inputs)).sum()
        (slopes[name],) = torch.autograd.grad(loss, leaf["weight"])
    assert (slopes["plain"] == 0).all()
    torch.testing.assert_close(slopes["scaled"], slopes["exact"], rtol=1e-3, atol=0)


def test_scaling_inside_networks_changes_no_gradient():
    module = of_points().double()
    profile, networks = module.profile(averaged=False), module.networks
    rng = torch.Generator().manual_seed(0)
    draw = partial(torch.randn, generator=rng, dtype=torch.float64)
    batch = Batch(draw(1, 12, 2), draw(3, 4, 3), draw(3, 4, 2), draw(3, 4))
    scaled = Networks(
        *(
            one._replace(stacked=scaled_inside(one.stacked, 64.0), input_gradient=own and scaled_inside(own, 64.0))
            for one in networks
            for own in (one.input_gradient,)
        )
    )
    got, expected = (flatten(feedback(module.game, one, profile, batch, BOTH)._asdict()) for one in (scaled, networks))
    for name, one in expected.items():
        torch.testing.assert_close(got[name], one, rtol=1e-12, atol=1e-14)


def seen(slope):
    grads = {"x": torch.tensor([[slope, 1.0]])}
    return Feedback(torch.zeros(1, 1), torch.zeros(1), torch.zeros(1), grads, None)


def test_the_scale_halves_on_overflow_and_doubles_after_good_steps():
    scale = LossScale()
    cleared = scale.watched(seen(float("inf")))
    assert torch.equal(cleared.generator_grads["x"], torch.zeros(1, 2))
    scale.watched(seen(2.0))
    assert not scale.accepts(Mesh(), Traffic())
    assert scale.state == (START / 2, 0)
    for _ in range(GROWTH_INTERVAL):
        assert torch.equal(scale.watched(seen(2.0)).generator_grads["x"], torch.tensor([[2.0, 1.0]]))
        assert scale.accepts(Mesh(), Traffic())
    assert scale.state == (START, 0)


def test_overflow_at_every_scale_ends_in_a_sentence():
    scale = LossScale()

    def overflow_for_ever():
        for _ in range(100):
            scale.watched(seen(float("nan")))
            scale.accepts(Mesh(), Traffic())

    with pytest.raises(InvalidInputError, match=r"overflow even with a loss scale of .* bf16-mixed"):
        overflow_for_ever()


def test_a_damaged_scale_is_refused():
    with pytest.raises(InvalidInputError, match="loss scale is damaged"):
        LossScale().load_state_dict({"scale": "large", "good_steps": 1})


class Float16(MixedPrecision):
    """Lightning's plugin for GPUs, on the CPU, which it would give bfloat16."""

    def __init__(self):
        super().__init__("16-mixed", "cpu")


def test_float16_training_is_near_that_in_float32(tmp_path, monkeypatch):
    monkeypatch.setattr("mixnash.lit.loss_scaling.START", 2.0**10)  # so small that no step is skipped
    start, plain, mixed = of_points(), of_points(), of_points()
    trained(plain, tmp_path, ring())
    after, _ = trained(mixed, tmp_path, ring(), plugin=Float16())
    assert after[-1][PRECISION] == {"scale": 2.0**10, "good_steps": 4}
    assert 0 < distance(positions(mixed), positions(plain)) < 0.02 * distance(positions(plain), positions(start))


@contextmanager
def overflowing(module, at) -> Iterator[None]:
    """The game's gradients are not finite in one step."""

    def evaluate(*given):
        answer = feedback(*given)
        if module.global_step != at:
            return answer
        grads = {name: torch.full_like(leaf, torch.inf) for name, leaf in (answer.critic_grads or {}).items()}
        return answer._replace(critic_grads=grads or None)

    module.evaluate = evaluate
    yield
    module.evaluate = feedback


def test_a_step_that_overflows_changes_no_state(tmp_path, monkeypatch):
    monkeypatch.setattr("mixnash.lit.loss_scaling.START", 2.0**10)
    module = of_points()
    with overflowing(module, at=2):
        after, _ = trained(module, tmp_path, ring(), plugin=Float16())
    for path, leaf in after[1][STATE].items():
        assert torch.equal(torch.as_tensor(after[2][STATE][path]), torch.as_tensor(leaf)), path
    scales = [one[PRECISION] for one in after]
    assert scales[1:] == [
        {"scale": 1024.0, "good_steps": 2},
        {"scale": 512.0, "good_steps": 0},
        {"scale": 512.0, "good_steps": 1},
    ]


class Saved(pl.Callback):
    """A checkpoint after two steps."""

    def __init__(self, path):
        self.path = path

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 2:
            trainer.save_checkpoint(self.path)


def test_the_scale_goes_on_from_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr("mixnash.lit.loss_scaling.START", 2.0**10)
    module, path = of_points(), tmp_path / "two.ckpt"
    with overflowing(module, at=1):
        trainer = pl.Trainer(
            accelerator="cpu", devices=1, max_steps=4, callbacks=[Saved(path)], logger=False, limit_val_batches=0,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, plugins=[Float16()],
            check_val_every_n_epoch=None, num_sanity_val_steps=0, use_distributed_sampler=False,
        )  # fmt: skip
        trainer.fit(module, datamodule=ring())
    resumed = of_points()
    after, _ = trained(resumed, tmp_path, ring(), plugin=Float16(), restart=path)
    assert after[-1][PRECISION] == {"scale": 512.0, "good_steps": 2}
    for path, leaf in positions(module).items():
        assert torch.equal(positions(resumed)[path], leaf), path
