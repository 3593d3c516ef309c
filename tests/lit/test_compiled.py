"""`torch.compile` as an option of MixedGAN: the same training."""

from functools import partial

import pytest
import torch

from mixnash.core.dynamics.competitive import Competitive
from mixnash.core.errors import InvalidInputError
from mixnash.core.games.constraints import GradientPenalty
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.tree import flatten
from mixnash.core.types import Networks
from mixnash.data.digits import Digits
from mixnash.lit.compiled import compiled
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.networks.base import functions_of, parameters_of
from mixnash.networks.dcgan import DCGANCritic, DCGANGenerator
from training import adam_dynamics, make_trainer, ring, small_critic, small_generator

# Under the type checks of the tests torch.compile meets code that it warns of and leaves uncompiled.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def forget():
    """What earlier tests compiled, and how often."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def of_points(compile, dynamics=None):
    return gan((2,), small_generator, small_critic, compile, dynamics)


def of_images(compile, dynamics=None):
    generator, critic = partial(DCGANGenerator, latent_dim=4, width=4), partial(DCGANCritic, width=4)
    return gan((1, 8, 8), generator, critic, compile, dynamics)


def gan(event_shape, generator, critic, compile, dynamics):
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return MixedGAN(
            event_shape,
            generator,
            critic,
            Wasserstein(GradientPenalty(0.7)),
            adam_dynamics() if dynamics is None else dynamics,
            3,
            2,
            seed=5,
            compile=compile,
        )


def trained(module, folder, data):
    make_trainer(folder, 3).fit(module, datamodule=data)
    return flatten(module.profile(averaged=False)._asdict())


def assert_same_training(make, data, folder):
    plain, fast = (trained(make(compile), folder / str(compile), data()) for compile in (False, True))
    for path, leaf in plain.items():
        torch.testing.assert_close(fast[path], leaf, rtol=1e-5, atol=1e-6)


@pytest.fixture
def by_tracing(monkeypatch):
    """All that compiling does but the generation of code, which takes long."""
    monkeypatch.setattr("mixnash.lit.mixed_gan.compiled", partial(compiled, backend="aot_eager"))


@pytest.mark.usefixtures("by_tracing")
@pytest.mark.parametrize(("make", "data"), [(of_points, ring), (of_images, partial(Digits, batch_size=8))])
def test_traced_training_is_the_plain_one(make, data, tmp_path):
    assert_same_training(make, data, tmp_path)


def test_compiled_training_is_the_plain_one(tmp_path):
    assert_same_training(of_points, ring, tmp_path)


@pytest.mark.usefixtures("by_tracing")
def test_dynamics_that_differentiate_twice_take_the_plain_networks(tmp_path):
    assert_same_training(partial(of_points, dynamics=Competitive(0.05)), ring, tmp_path)


def networks():
    return Networks(functions_of(small_generator((2,))), functions_of(small_critic((2,))))


def test_critics_without_a_gradient_of_their_own_stay_as_they_are():
    plain = networks()
    plain = plain._replace(critic=plain.critic._replace(input_gradient=None))
    fast = compiled(plain)
    assert fast.critic is plain.critic
    assert fast.generator.stacked is not plain.generator.stacked


def test_only_evaluations_of_all_pairs_are_compiled():
    plain = networks()
    for before, after in zip(plain, compiled(plain), strict=True):
        assert after.single is before.single
        assert after.input_gradient is before.input_gradient
        assert after.stacked is not before.stacked


def test_failure_to_compile_ends_in_a_sentence():
    def no_compiler(graph, inputs):
        raise RuntimeError("no C++ compiler was found")

    fast = compiled(networks(), backend=no_compiler)
    params = {name: leaf.unsqueeze(0) for name, leaf in parameters_of(small_generator((2,))).items()}
    with pytest.raises(InvalidInputError, match=r"could not compile.*no C\+\+ compiler was found.*compile false"):
        fast.generator.stacked(params, torch.zeros(1, 4, 3))
