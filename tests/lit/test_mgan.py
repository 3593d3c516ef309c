"""MGAN: its objectives against a double loop over generators and samples, its steps, and what evaluation sees of it."""

import json
import math

import pytest
import torch

from mixnash.cli import train
from mixnash.core.errors import InvalidInputError, NonFiniteError
from mixnash.core.feedback import feedback
from mixnash.core.population import particle
from mixnash.core.types import NOBODY, Batch, Player
from mixnash.data.digits import Digits
from mixnash.evaluation.evaluate import evaluate
from mixnash.evaluation.load import load_run
from mixnash.lit.draws import StepDraws
from mixnash.lit.mgan import MGAN
from mixnash.networks.base import parameters_of
from mixnash.networks.dcgan import DCGANCritic, DCGANGenerator
from mixnash.networks.distilled import DistilledGenerator
from mixnash.networks.mlp import MLPCritic, MLPGenerator
from problems import DOUBLE, normal
from training import largest_difference, make_trainer, mgan, ring, tiny_config, torch_adam

GENERATORS, SAMPLES = 3, 4


def double():
    return mgan(diversity=0.7).double()


def draws():
    return normal(5, 2, key=1), normal(GENERATORS, SAMPLES, 3, key=2)


def log_sigmoid(score):
    return -torch.log(1 + torch.exp(-score))


def by_hand(module, real, latent):
    """Both losses, generator by generator and sample by sample, from the weights themselves."""
    generators, critic = dict(module.generators.named_parameters()), dict(module.critic.named_parameters())

    def sample(k, z):
        hidden = (generators["weight"][k] @ z + generators["bias"][k]).clamp_min(0)
        hidden = (generators["trunk.0.weight"] @ hidden + generators["trunk.0.bias"]).clamp_min(0)
        return generators["trunk.1.weight"] @ hidden + generators["trunk.1.bias"]

    def heads(x):
        hidden = (critic["scorer.layers.0.weight"] @ x + critic["scorer.layers.0.bias"]).clamp_min(0)
        hidden = (critic["scorer.layers.1.weight"] @ hidden + critic["scorer.layers.1.bias"]).clamp_min(0)
        score = critic["scorer.layers.2.weight"] @ hidden + critic["scorer.layers.2.bias"]
        classes = torch.softmax(critic["classifier.weight"] @ hidden + critic["classifier.bias"], 0)
        return score[0], classes

    critic_loss = -sum(log_sigmoid(heads(x)[0]) for x in real) / len(real)
    generator_loss = torch.zeros((), dtype=DOUBLE)
    for k in range(GENERATORS):
        for z in latent[k]:
            score, classes = heads(sample(k, z))
            critic_loss = critic_loss - (log_sigmoid(-score) + classes[k].log()) / (GENERATORS * SAMPLES)
            generator_loss = generator_loss - (log_sigmoid(score) + 0.7 * classes[k].log()) / (GENERATORS * SAMPLES)
    return generator_loss, critic_loss


def gradients(loss, module):
    found = torch.autograd.grad(loss, list(module.parameters()), materialize_grads=True)
    return {name: grad for (name, _), grad in zip(module.named_parameters(), found, strict=True)}


def assert_close(one, other):
    assert one.keys() == other.keys()
    for name, grad in one.items():
        torch.testing.assert_close(grad, other[name], rtol=0, atol=1e-12, msg=name)
        assert float(grad.abs().max()) > 0, name


def test_the_generators_descend_the_gradient_of_the_double_loop():
    module, (real, latent) = double(), draws()
    expected, _ = by_hand(module, real, latent)
    got = module.generator_losses(latent)
    assert got.shape == (GENERATORS,)
    torch.testing.assert_close(got.mean(), expected)
    assert_close(gradients(got.mean(), module.generators), gradients(expected, module.generators))


def test_the_critic_and_the_classifier_descend_the_gradient_of_the_double_loop():
    module, (real, latent) = double(), draws()
    _, expected = by_hand(module, real, latent)
    values, confusion = module.critic_terms(real, latent)
    assert values.shape == confusion.shape == (GENERATORS,)
    torch.testing.assert_close((confusion - values).mean(), expected)
    assert_close(gradients((confusion - values).mean(), module.critic), gradients(expected, module.critic))


def test_without_diversity_the_generators_do_not_feel_the_classifier():
    module, (_, latent) = mgan(diversity=0.0).double(), draws()
    module.critic.classifier.weight.data.mul_(100)
    scores = module.critic(module.generators(latent).flatten(0, 1))[0].reshape(GENERATORS, SAMPLES)
    torch.testing.assert_close(module.generator_losses(latent), -torch.nn.functional.logsigmoid(scores).mean(1))


@pytest.mark.parametrize("averaged", [False, True])
def test_the_profile_is_what_the_module_computes(averaged):
    module, (real, latent) = double(), draws()
    for buffer in module.averaged.buffers():
        buffer.mul_(1.5)
    generators, critics = module.profile(averaged)
    assert generators.log_weights.exp().tolist() == pytest.approx([1 / 3] * 3)
    values = module.payoffs(real, latent, averaged)
    batch = Batch(real.unsqueeze(0), latent, real.new_zeros(0), torch.zeros(GENERATORS, SAMPLES, dtype=DOUBLE))
    seen = feedback(module.game, module.networks, module.profile(averaged), batch, NOBODY).values
    torch.testing.assert_close(values, seen, rtol=0, atol=1e-12)
    for k in range(GENERATORS):
        made = module.generate(particle(generators.params, k), latent[k])
        stacked = module.networks.generator.stacked(generators.params, latent)[k]
        torch.testing.assert_close(made, stacked, rtol=0, atol=1e-12)
        if not averaged:
            torch.testing.assert_close(made, module.generators(latent)[k], rtol=0, atol=1e-12)
    scores = module.criticise(particle(critics.params, 0), real)
    torch.testing.assert_close(scores, module.critic(real)[0], rtol=0, atol=1e-12)


def test_generators_start_with_first_layers_of_their_own_and_share_the_others():
    params = mgan().profile(averaged=False).generators.params
    assert params.keys() == dict(MLPGenerator((2,), 3, 8, 2).named_parameters()).keys()
    for name, leaf in params.items():
        assert torch.equal(leaf[0], leaf[1]) == (not name.startswith("layers.0."))


def test_the_profile_does_not_move_when_training_goes_on(tmp_path):
    module = mgan()
    before = module.profile(averaged=False)
    kept = {name: leaf.clone() for name, leaf in before.generators.params.items()}
    make_trainer(tmp_path, 3).fit(module, datamodule=ring())
    assert largest_difference(kept, before.generators.params) == 0
    after = module.profile(averaged=False).generators.params
    assert all(not torch.equal(leaf, after[name]) for name, leaf in kept.items())
    for name in after:
        assert torch.equal(after[name][0], after[name][2]) == (not name.startswith("layers.0."))


def test_one_step_is_the_critics_updates_and_then_the_generators_by_torchs_adam(tmp_path):
    trained, module = mgan(critic_steps=2), mgan(critic_steps=2)
    data = ring()
    make_trainer(tmp_path, 1).fit(trained, datamodule=data)
    draw = StepDraws(data.training_batch(0), 5, 0, 3, GENERATORS, 8, 8)
    critic = torch_adam(1e-3)(module.critic.parameters())
    generators = torch_adam(2e-3)(module.generators.parameters())
    for player in ("critic", "critic", "generators"):
        batch, optimiser = draw(frozenset()), critic if player == "critic" else generators
        by_player = dict(zip(("generators", "critic"), by_hand_float(module, batch), strict=True))
        optimiser.zero_grad()
        by_player[player].backward()
        optimiser.step()
    assert largest_difference(parameters_of(trained.critic), parameters_of(module.critic)) < 1e-5
    got = parameters_of(trained.generators)
    assert largest_difference(got, parameters_of(module.generators)) < 1e-5
    assert largest_difference(got, parameters_of(mgan().generators)) > 1e-3


def by_hand_float(module, batch):
    """Both losses from scores and logits, by torch's own losses."""
    count = batch.latent.shape[1]
    scores, logits = module.critic(module.generators(batch.latent).flatten(0, 1))
    real, _ = module.critic(batch.real[0])
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    makers = torch.arange(GENERATORS).repeat_interleave(count)
    confusion = torch.nn.functional.cross_entropy(logits, makers)
    critic_loss = bce(real, torch.ones_like(real)) + bce(scores, torch.zeros_like(scores)) + confusion
    return bce(scores, torch.ones_like(scores)) + 0.01 * confusion, critic_loss


def test_fresh_networks_are_shaped_as_those_of_the_profile():
    module = mgan()
    for player, population in zip(Player, module.profile(averaged=False), strict=True):
        made = module.fresh(player, 2, seed=4)
        assert {name: leaf.shape[1:] for name, leaf in made.items()} == {
            name: leaf.shape[1:] for name, leaf in population.params.items()
        }
        assert all(not torch.equal(leaf[0], leaf[1]) for leaf in made.values())


def test_the_guard_names_the_generator_that_spoiled_its_payoff(tmp_path):
    module = mgan()
    module.generators.bias.data[1] = math.nan
    with pytest.raises(NonFiniteError, match="The loss of generator 1 became non-finite at step 0"):
        make_trainer(tmp_path, 2, log_every=1).fit(module, datamodule=ring())


def image_config(folder):
    """Three DCGAN generators on one trunk and a DCGAN critic, on the digits of 8 pixels."""
    adam = {"class_path": "torch.optim.Adam", "init_args": {"lr": 1.0e-3}}
    model = {
        "class_path": "mixnash.lit.mgan.MGAN",
        "init_args": {
            "num_generators": 3,
            "generator": {
                "class_path": "mixnash.networks.dcgan.DCGANGenerator",
                "init_args": {"latent_dim": 5, "width": 4},
            },
            "critic": {"class_path": "mixnash.networks.dcgan.DCGANCritic", "init_args": {"width": 4}},
            "generator_optimizer": adam,
            "critic_optimizer": adam,
            "samples_per_generator": 6,
        },
    }
    data = {"class_path": "mixnash.data.digits.Digits", "init_args": {"batch_size": 16, "validation_size": 40}}
    return tiny_config(folder, {"model": model, "data": data})


def test_dcgans_on_one_trunk_are_trained_by_the_command_sampled_and_evaluated(tmp_path):
    cli = train(["fit", f"--config={image_config(tmp_path)}", f"--runs_dir={tmp_path}"])
    assert cli.trainer.global_step == 3
    scores = [json.loads(line) for line in (cli.run_folder / "metrics.jsonl").read_text().splitlines()]
    assert any("val/sliced_wasserstein2" in line for line in scores)
    module = load_run(cli.run_folder, None, device="cpu").module
    fresh = module.fresh(Player.GENERATOR, 1, seed=0)
    generators, critics = module.profile(averaged=False)
    assert {name: leaf.shape[1:] for name, leaf in generators.params.items()} == {
        name: leaf.shape[1:] for name, leaf in fresh.items()
    }
    assert [leaf.stride(0) == 0 for leaf in generators.params.values()] == [False] * 2 + [True] * 4
    assert critics.params.keys() == module.fresh(Player.CRITIC, 1, seed=0).keys()
    latent = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(1))
    made = module.networks.generator.stacked(generators.params, latent)
    torch.testing.assert_close(made, module.generators(latent))
    payoffs = module.payoffs(cli.datamodule.held_out(20), latent, averaged=False)
    assert payoffs.shape == (3, 1)
    result = evaluate(load_run(cli.run_folder, None, device="cpu"), 60)
    assert math.isfinite(result.metrics["sliced_wasserstein2"])
    assert result.game["generators"] == 3


def test_every_part_of_image_networks_is_trained(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(2)
        module = MGAN(
            (1, 8, 8),
            torch_adam(1e-3),
            torch_adam(1e-3),
            3,
            samples_per_generator=4,
            seed=5,
            generator=lambda shape: DCGANGenerator(shape, 5, width=4),
            critic=lambda shape: DCGANCritic(shape, width=4),
        )
    before = parameters_of(module)
    make_trainer(tmp_path, 3).fit(module, datamodule=Digits(batch_size=12, validation_size=20))
    assert all(not torch.equal(leaf, before[name]) for name, leaf in parameters_of(module).items())
    first, trunk = (5 + 1) * 64, 2 * 4 + 4 * 16 + 1
    assert sum(leaf.numel() for leaf in module.generators.parameters()) == 3 * first + trunk
    assert sum(leaf.numel() for leaf in module.averaged.buffers()) == 3 * first + trunk


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"diversity": -0.1}, "diversity of generators must be at least 0 and finite, found -0.1"),
        ({"critic_steps": 0}, "critic_steps must be at least 1, found 0"),
        ({"samples_per_generator": 0}, "samples_per_generator must be at least 1, found 0"),
        ({"num_generators": 0}, "num_generators must be at least 1, found 0"),
        ({"ema_decay": 1.0}, r"moving average must lie in \[0, 1\), found 1.0"),
        ({"generator_optimizer": torch_adam(-1.0)}, "generator_optimizer cannot be built: Invalid learning rate"),
        ({"critic_optimizer": torch_adam(-1.0)}, "critic_optimizer cannot be built: Invalid learning rate"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        mgan(**arguments)


def test_networks_that_cannot_be_cut_are_refused():
    with pytest.raises(InvalidInputError, match="DistilledGenerator cannot be cut into a first layer and a trunk"):
        MGAN((2,), torch_adam(1e-3), torch_adam(1e-3), generator=DistilledGenerator)
    with pytest.raises(InvalidInputError, match="MLPCritic cannot be cut before its last layer"):
        MGAN((2,), torch_adam(1e-3), torch_adam(1e-3), critic=MLPCritic)
