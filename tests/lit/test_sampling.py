"""Draws from a mixture of generators: independent, with each particle at its weight."""

import pytest
import pytorch_lightning as pl
import torch
from scipy.stats import chisquare

from mixnash.core.errors import InvalidInputError
from mixnash.core.population import Population, make_population, particle
from mixnash.core.random import stream
from mixnash.data.digits import Digits
from mixnash.data.mixtures import CustomMixture, PresetMixture
from mixnash.data.mixtures_nd import RandomMixture
from mixnash.data.shapes import SwissRoll
from mixnash.lit.scores import evaluation_metrics, training_metrics
from training import adam_dynamics, make_trainer, mixed_gan, ring, wgan

CPU = torch.device("cpu")
WEIGHTS = torch.tensor([0.5, 0.15, 0.35])


def unequal_mixture():
    """Three generators of unequal weight whose averages differ from their positions."""
    module = mixed_gan(adam_dynamics())
    module.generators.assign(make_population(module.generators.population().params, WEIGHTS.log()))
    for leaf in module.averaged.buffers():
        leaf.mul_(1.5)
    return module


def test_particles_appear_in_proportion_to_their_weights():
    origin = unequal_mixture().sample(20_000, stream(CPU, 1)).particle
    counts = torch.bincount(origin, minlength=3).double()
    assert chisquare(counts, WEIGHTS.double() * counts.sum() / WEIGHTS.sum()).pvalue > 1e-3


def test_samples_come_in_random_order_not_particle_by_particle():
    origin = unequal_mixture().sample(20_000, stream(CPU, 2)).particle
    repeats = (origin[1:] == origin[:-1]).double().mean()
    # Neighbours agree with probability sum p^2 = 0.395, standard deviation 0.0035.
    assert abs(float(repeats) - float(WEIGHTS.square().sum())) < 0.02


@pytest.mark.parametrize("averaged", [True, False])
def test_every_sample_is_what_its_particle_makes_of_its_own_latent(averaged):
    module = unequal_mixture()
    samples = module.sample(50, stream(CPU, 3), averaged=averaged)
    latent = torch.randn(50, 3, generator=stream(CPU, 3))
    params = module.profile(averaged).generators.params
    made = [
        module.generate(particle(params, int(index)), one.unsqueeze(0))
        for index, one in zip(samples.particle, latent, strict=True)
    ]
    assert torch.allclose(samples.values, torch.cat(made), atol=1e-6)


def test_one_particle_alone_can_be_drawn():
    module = unequal_mixture()
    samples = module.sample(40, stream(CPU, 4), particle=1, averaged=False)
    assert samples.particle.tolist() == [1] * 40
    latent = torch.randn(40, 3, generator=stream(CPU, 4))
    made = module.generate(particle(module.profile(False).generators.params, 1), latent)
    assert torch.allclose(samples.values, made, atol=1e-6)


@pytest.mark.parametrize("wanted", [-1, 3])
def test_particle_that_does_not_exist_is_refused(wanted):
    with pytest.raises(InvalidInputError, match=f"no particle {wanted}: this run has 3, numbered from 0"):
        unequal_mixture().sample(5, stream(CPU, 0), particle=wanted)


def test_asking_for_nothing_is_refused():
    with pytest.raises(InvalidInputError, match="At least one sample must be asked for, found 0"):
        unequal_mixture().sample(0, stream(CPU, 0))


def test_wgan_is_a_mixture_of_one():
    samples = wgan().sample(30, stream(CPU, 5))
    assert samples.values.shape == (30, 2)
    assert not samples.particle.any()


def test_payoffs_are_those_of_each_pair():
    module = unequal_mixture()
    real, latent = torch.randn(20, 2), torch.randn(3, 10, 3)
    payoffs = module.payoffs(real, latent, averaged=False)
    generators, critics = module.profile(averaged=False)
    for k in range(3):
        fake = module.generate(particle(generators.params, k), latent[k])
        for index in range(2):
            critic = particle(critics.params, index)
            expected = module.criticise(critic, real).mean() - module.criticise(critic, fake).mean()
            assert torch.allclose(payoffs[k, index], expected, atol=1e-6)


def test_payoffs_of_a_wgan_are_real_score_minus_generated_score():
    module = wgan()
    real, latent = torch.randn(20, 2), torch.randn(1, 10, 3)
    generators, critics = module.profile(averaged=True)
    fake = module.generate(particle(generators.params, 0), latent[0])
    critic = particle(critics.params, 0)
    expected = module.criticise(critic, real).mean() - module.criticise(critic, fake).mean()
    assert torch.allclose(module.payoffs(real, latent, averaged=True), expected.reshape(1, 1))


def test_populations_keep_their_weights_in_the_averaged_profile():
    generators = unequal_mixture().profile(averaged=True).generators
    assert isinstance(generators, Population)
    assert torch.allclose(generators.log_weights.exp(), WEIGHTS)


PLANE = {"transport", "mmd"}
"""Metrics of finished runs in the plane."""


@pytest.mark.parametrize(
    ("data", "watched", "evaluated"),
    [
        (PresetMixture("wgangp-ring"), {"modes", "sliced"}, {"modes", "sliced", "perfect", *PLANE}),
        (
            CustomMixture([[0.0, 0.0], [1.0, 1.0]], [0.1, 0.2]),
            {"modes", "sliced"},
            {"modes", "sliced", "perfect", *PLANE},
        ),
        (CustomMixture([[0.0, 0.0], [1.0, 1.0]], [0.3, 0.3]), {"modes", "sliced"}, {"modes", "sliced", *PLANE}),
        (RandomMixture(3, 4), {"modes", "sliced"}, {"modes", "sliced", "perfect", *PLANE}),
        (SwissRoll(), {"sliced"}, {"sliced", *PLANE}),
        (Digits(), {"sliced"}, {"sliced"}),
    ],
    ids=["preset", "custom", "overlapping", "3 dimensions", "swiss roll", "digits"],
)
def test_metrics_fit_the_data(data, watched, evaluated):
    assert set(training_metrics(data).keys()) == watched
    assert set(evaluation_metrics(data).keys()) == evaluated


def test_evaluation_draws_do_not_depend_on_the_step(tmp_path):
    scores = []

    class Still(pl.Callback):
        def on_validation_end(self, trainer, pl_module):
            scores.append(dict(trainer.callback_metrics))

    trainer = make_trainer(tmp_path, 2, [Still()], evaluate_every=1)
    module = mixed_gan(adam_dynamics())
    module.training_step = lambda batch, batch_idx: module.optimizers().step(closure=lambda: None)
    trainer.fit(module, datamodule=ring())
    assert len(scores) == 2
    assert scores[0] == scores[1]


def test_loose_loaders_are_refused(tmp_path):
    trainer = make_trainer(tmp_path, 1, evaluate_every=1)
    with pytest.raises(InvalidInputError, match="data module derived from AbstractDataModule, found NoneType"):
        trainer.fit(wgan(), train_dataloaders=[torch.zeros(2, 24, 2)], val_dataloaders=[torch.zeros(9, 2)])
