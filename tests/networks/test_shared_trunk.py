"""Generators on one trunk against as many whole ones, and a critic with a second head against the plain one."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from mixnash.core.errors import InvalidInputError
from mixnash.core.population import particle
from mixnash.networks.base import functions_of, parameters_of
from mixnash.networks.dcgan import DCGANCritic, DCGANGenerator
from mixnash.networks.distilled import DistilledGenerator
from mixnash.networks.layered import AbstractLayeredCritic, AbstractLayeredGenerator
from mixnash.networks.mgan import ClassifyingLayeredCritic, ClassifyingMLPCritic, MGANNetworks
from mixnash.networks.mlp import MLPCritic, MLPGenerator
from mixnash.networks.normalizations import BatchNormalization, GroupNormalization
from mixnash.networks.r3gan import R3GANCritic, R3GANGenerator
from mixnash.networks.resnet import ResNetCritic, ResNetGenerator
from mixnash.networks.shared_trunk import SharedTrunkGenerators, cut_generator
from problems import normal

EVENT, COUNT, SAMPLES, LATENT = (2, 16, 16), 3, 4, 5
GENERATORS = {
    "DCGAN": lambda: DCGANGenerator(EVENT, LATENT, width=4),
    "ResNet": lambda: ResNetGenerator(EVENT, LATENT, width=4),
    "R3GAN": lambda: R3GANGenerator(EVENT, LATENT, width=4, blocks=1, group_width=2),
    "MLP": lambda: MLPGenerator(EVENT, LATENT, width=6, depth=2),
}
OWN = {"DCGAN": "body.0.", "ResNet": "body.0.", "R3GAN": "body.0.", "MLP": "layers.0."}
CRITICS = {
    "DCGAN": lambda: DCGANCritic(EVENT, width=3),
    "normalised DCGAN": lambda: DCGANCritic(EVENT, width=4, normalization=GroupNormalization(2)),
    "ResNet": lambda: ResNetCritic(EVENT, width=3, blocks=1),
    "R3GAN": lambda: R3GANCritic(EVENT, width=4, blocks=1, group_width=2),
}
over_generators = pytest.mark.parametrize("name", GENERATORS)
over_critics = pytest.mark.parametrize("name", CRITICS)


def seeded(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return make()


def shared(make, count=COUNT):
    """Generators on one trunk in double precision; no parameter is zero, as some are at first."""
    module = seeded(lambda: SharedTrunkGenerators(EVENT, count, make)).double()
    for leaf in module.parameters():
        leaf.data += 0.1 * normal(*leaf.shape, key=7)
    return module


def latents(count=COUNT):
    return normal(count, SAMPLES, LATENT, key=1)


@over_generators
@pytest.mark.parametrize("count", [1, COUNT])
def test_stacked_particles_make_the_samples_of_the_shared_module(name, count):
    module, whole, latent = shared(GENERATORS[name], count), GENERATORS[name]().double(), latents(count)
    params = module.as_particles(parameters_of(module))
    expected = module(latent)
    assert expected.shape == (count, SAMPLES, *EVENT)
    assert expected.std() > 1e-3
    torch.testing.assert_close(functions_of(whole).stacked(params, latent), expected, rtol=0, atol=1e-12)
    for k in range(count):
        alone = functional_call(whole, particle(params, k), (latent[k],))
        torch.testing.assert_close(alone, expected[k], rtol=0, atol=1e-12)


@over_generators
def test_gradients_are_those_of_whole_generators_summed_over_what_they_share(name):
    module, whole, latent = shared(GENERATORS[name]), GENERATORS[name]().double(), latents()
    stacked = module.as_particles(parameters_of(module))
    params = {leaf: value.clone().requires_grad_() for leaf, value in stacked.items()}
    direction = normal(COUNT, SAMPLES, *EVENT, key=2)
    apart = torch.stack([functional_call(whole, particle(params, k), (latent[k],)) for k in range(COUNT)])
    expected = dict(zip(params, torch.autograd.grad(apart, list(params.values()), direction), strict=True))
    names, leaves = zip(*module.named_parameters(), strict=True)
    got = dict(zip(names, torch.autograd.grad(module(latent), leaves, direction), strict=True))
    assert all(float(one.abs().max()) > 0 for one in got.values())
    # As particles the gradients' leaves have the names of the whole generators.
    for leaf, value in module.as_particles(got).items():
        summed = expected[leaf] if leaf.startswith(OWN[name]) else expected[leaf].sum(0).expand_as(value)
        torch.testing.assert_close(value, summed, rtol=1e-10, atol=1e-10)


@over_generators
def test_a_first_layer_is_moved_by_its_own_samples_only(name):
    module = shared(GENERATORS[name])
    own = [leaf for place, leaf in module.named_parameters() if not place.startswith("trunk.")]
    for grad in torch.autograd.grad(module(latents())[1].square().sum(), own):
        assert [bool((part != 0).any()) for part in grad] == [False, True, False]


@over_generators
def test_parameters_are_those_of_the_first_layers_and_of_one_trunk(name):
    whole = dict(GENERATORS[name]().named_parameters())
    first = sum(leaf.numel() for place, leaf in whole.items() if place.startswith(OWN[name]))
    trunk = sum(leaf.numel() for place, leaf in whole.items() if not place.startswith(OWN[name]))
    module = shared(GENERATORS[name], count=7)
    assert min(first, trunk) > 0
    assert sum(leaf.numel() for leaf in module.parameters()) == 7 * first + trunk
    assert sum(leaf.numel() for leaf in module.state_dict().values()) == 7 * first + trunk


def test_a_dcgan_of_eight_pixels_has_as_many_parameters_as_counted_by_hand():
    module = SharedTrunkGenerators((1, 8, 8), 10, lambda: DCGANGenerator((1, 8, 8), 5, width=4))
    first = (5 + 1) * 4 * 4 * 4  # of 5 latents and one offset, to 4 channels of 4 x 4
    trunk = 2 * 4 + 4 * 4 * 4 + 1  # scale and offset of the norm; one kernel per channel and an offset
    assert sum(leaf.numel() for leaf in module.parameters()) == 10 * first + trunk


@over_generators
def test_the_trunk_sees_the_samples_of_all_generators_once(name):
    module, seen = shared(GENERATORS[name]), []
    module.trunk.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    module(latents())
    assert seen == [COUNT * SAMPLES]


@over_generators
def test_particles_hold_copies_whose_trunk_is_stored_once(name):
    module = shared(GENERATORS[name])
    params = module.as_particles(parameters_of(module))
    assert params.keys() == dict(GENERATORS[name]().named_parameters()).keys()
    for place, leaf in params.items():
        assert len(leaf) == COUNT
        assert (leaf.stride(0) == 0) == (not place.startswith(OWN[name]))
        assert torch.equal(leaf[0], leaf[1]) == (not place.startswith(OWN[name]))
    kept = {place: leaf.clone() for place, leaf in params.items()}
    for leaf in module.parameters():
        leaf.data += 1
    assert all(torch.equal(leaf, kept[place]) for place, leaf in params.items())


@over_generators
def test_generators_start_as_the_factory_makes_them(name):
    module = seeded(lambda: SharedTrunkGenerators(EVENT, COUNT, GENERATORS[name]))
    made = [dict(one.named_parameters()) for one in seeded(lambda: [GENERATORS[name]() for _ in range(COUNT)])]
    for place, leaf in module.as_particles(parameters_of(module)).items():
        for k in range(COUNT):
            assert torch.equal(leaf[k], made[k if place.startswith(OWN[name]) else 0][place])


@over_critics
def test_a_classifying_critic_scores_as_the_critic_and_classifies_what_its_last_layer_sees(name):
    critic = seeded(lambda: ClassifyingLayeredCritic(CRITICS[name](), COUNT)).double()
    samples, seen = normal(SAMPLES, *EVENT), []
    critic.scorer.body[-1].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    scores, logits = critic(samples)
    torch.testing.assert_close(scores, critic.scorer(samples), rtol=0, atol=1e-12)
    expected = seen[-1] @ critic.classifier.weight.mT + critic.classifier.bias
    assert (scores.shape, logits.shape) == ((SAMPLES,), (SAMPLES, COUNT))
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)


@over_critics
def test_the_classifier_teaches_the_trunk_of_the_critic(name):
    critic = seeded(lambda: ClassifyingLayeredCritic(CRITICS[name](), COUNT)).double()
    for leaf in critic.parameters():
        leaf.data += 0.1 * normal(*leaf.shape, key=7)
    _, logits = critic(normal(SAMPLES, *EVENT))
    direction = normal(*logits.shape, key=2)
    last = {f"scorer.body.{len(critic.scorer.body) - 1}.{kind}" for kind in ("weight", "bias")}
    names, leaves = zip(*critic.named_parameters(), strict=True)
    for place, grad in zip(names, torch.autograd.grad(logits, leaves, direction, materialize_grads=True), strict=True):
        assert bool((grad != 0).any()) == (place not in last), place


def test_a_classifying_mlp_scores_as_the_mlp_with_fourier_features():
    critic = ClassifyingMLPCritic((2,), COUNT, 6, 2, 3, 5.0)
    plain = MLPCritic((2,), 6, 2, octaves=3, period=5.0)
    plain.load_state_dict(critic.scorer.state_dict())
    samples = normal(SAMPLES, 2).float()
    assert torch.equal(critic(samples)[0], plain(samples))


def networks(**given):
    arguments = ["generator", "critic", "latent_dim", "generator_width", "generator_depth"]
    arguments += ["critic_width", "critic_depth", "octaves", "period"]
    return MGANNetworks(EVENT, **{**dict.fromkeys(arguments), **given})


def test_networks_are_mlps_of_the_sizes_given_or_those_given():
    made = networks(latent_dim=3, generator_width=7, critic_depth=1, octaves=2)
    assert [tuple(leaf.shape) for leaf in made.generator().layers.parameters()][:2] == [(7, 3), (7,)]
    assert [one.in_features for one in made.critic().layers] == [512 * 5, 128]
    made = networks(generator=lambda shape: DCGANGenerator(shape, 9), critic=lambda shape: DCGANCritic(shape, 3))
    assert made.generator().latent_dim == 9
    assert isinstance(made.classifying_critic(4).scorer, DCGANCritic)


class Given(AbstractLayeredGenerator):
    """Whatever body."""

    def __init__(self, body):
        super().__init__(LATENT, body)


class GivenCritic(AbstractLayeredCritic):
    """Whatever body."""

    def __init__(self, body):
        super().__init__(body)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: DistilledGenerator((2,)), "DistilledGenerator cannot be cut into a first layer and a trunk: give"),
        (lambda: MLPGenerator((2,), octaves=2), "MLPGenerator with Fourier features cannot be cut .* octaves to 0"),
        (lambda: Given(nn.Sequential(nn.Linear(5, 8), nn.Tanh())), "at least 2 layers that have parameters, found 1"),
        (lambda: Given(nn.Tanh()), "Given cannot be cut: its body is a Tanh, not a sequence of layers"),
        (
            lambda: DCGANGenerator(EVENT, normalization=BatchNormalization()),
            "DCGANGenerator that normalises by batches cannot be part of an MGAN.* use GroupNormalization or",
        ),
    ],
)
def test_generators_that_cannot_be_cut_are_refused(build, message):
    with pytest.raises(InvalidInputError, match=message):
        cut_generator(build())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MLPCritic(EVENT), "MLPCritic cannot be cut before its last layer.* or leave the critic out"),
        (
            lambda: GivenCritic(nn.Sequential(nn.Flatten(), nn.Linear(512, 1), nn.Identity())),
            "at least 2 layers, the last one linear, found 3, the last one Identity",
        ),
        (lambda: GivenCritic(nn.Sequential(nn.Linear(512, 1))), "at least 2 layers, the last one linear, found 1"),
        (
            lambda: DCGANCritic(EVENT, 4, normalization=BatchNormalization()),
            "DCGANCritic that normalises by batches cannot be part of an MGAN",
        ),
    ],
)
def test_critics_that_cannot_be_cut_are_refused(build, message):
    with pytest.raises(InvalidInputError, match=message):
        ClassifyingLayeredCritic(build(), COUNT)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"generator": DCGANGenerator, "latent_dim": 3, "generator_depth": 2},
            "generator is given as a network, so nothing is left for latent_dim 3, generator_depth 2 to describe",
        ),
        ({"critic": DCGANCritic, "period": 2.0}, "critic is given .* nothing is left for period 2.0 to describe"),
    ],
)
def test_sizes_of_mlps_beside_a_network_are_refused(given, message):
    with pytest.raises(InvalidInputError, match=message):
        networks(**given)


def test_a_population_without_particles_is_refused():
    with pytest.raises(InvalidInputError, match="num_generators must be at least 1, found 0"):
        SharedTrunkGenerators(EVENT, 0, GENERATORS["DCGAN"])
