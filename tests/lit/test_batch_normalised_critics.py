"""Critics that normalise by batches: for one generator only, as they mix the samples of several."""

from functools import partial

import pytest
import torch

from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import feedback, feedback_reference
from mixnash.core.games.hinge import Hinge
from mixnash.core.types import NOBODY
from mixnash.lit.draws import StepDraws
from mixnash.lit.mixed_gan import MixedGAN
from mixnash.networks.dcgan import DCGANCritic, DCGANGenerator
from mixnash.networks.normalizations import BatchNormalization, GroupNormalization
from training import adam_dynamics

EVENT = (1, 16, 16)


def gan(generators, normalization):
    generator = partial(DCGANGenerator, latent_dim=4, width=4)
    critic = partial(DCGANCritic, width=4, normalization=normalization)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MixedGAN(EVENT, generator, critic, Hinge(), adam_dynamics(), generators, 2)


def test_a_critic_of_several_generators_is_refused_if_it_normalises_by_batches():
    with pytest.raises(InvalidInputError, match="its payoff against one depends on the others, found one for 2 gen"):
        gan(2, BatchNormalization())


@pytest.mark.parametrize(("generators", "normalization"), [(1, BatchNormalization()), (2, GroupNormalization())])
def test_payoffs_of_the_critics_that_are_left_are_those_of_pairs(generators, normalization):
    module = gan(generators, normalization)
    real = torch.rand(1, 8, *EVENT, generator=torch.Generator().manual_seed(1)) * 2 - 1
    batch = StepDraws(real, 0, 0, 4, generators, 8, 8)(NOBODY)
    arguments = module.game, module.networks, module.profile(averaged=False), batch, NOBODY
    one, other = (evaluate(*arguments).values for evaluate in (feedback, feedback_reference))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
