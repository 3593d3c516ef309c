"""Four processes evaluate games together: as one process does, to rounding in double precision."""

import pytest
import torch
import torch.distributed as dist

from mixnash.core.accumulation import Accumulated, micro_batches
from mixnash.core.augmentations.colour import Colour
from mixnash.core.augmentations.composed import Composed
from mixnash.core.augmentations.cutout import Cutout
from mixnash.core.dynamics.alternating import Alternating
from mixnash.core.dynamics.simultaneous import Simultaneous
from mixnash.core.errors import InvalidInputError
from mixnash.core.feedback import GameOracle, feedback
from mixnash.core.games.augmented import AugmentedGame
from mixnash.core.games.constraints import GradientPenalty, SpectralNormalization, ZeroCentredPenalty
from mixnash.core.games.hinge import Hinge
from mixnash.core.games.non_saturating import NonSaturating
from mixnash.core.games.packed import PackedGame
from mixnash.core.games.relativistic import Relativistic
from mixnash.core.games.wasserstein import Wasserstein
from mixnash.core.pairwise import Pairwise
from mixnash.core.population import weights
from mixnash.core.random import StepNoise
from mixnash.core.rules.adam import Adam
from mixnash.core.rules.base import PlayerRules
from mixnash.core.rules.entropic import EntropicMirrorDescent
from mixnash.core.shares import share_of
from mixnash.core.tree import flatten, map_leaves
from mixnash.core.types import BOTH, CRITICS, GENERATORS, NOBODY, Feedback, Player
from mixnash.lit.parallel.collectives import collect_rows, gather_rows, sum_rows
from mixnash.lit.parallel.mesh import Mesh, make_mesh
from mixnash.lit.parallel.ownership import Ownership
from mixnash.lit.parallel.traffic import Traffic
from mixnash.lit.reduce import combine
from plugins import DYNAMICS, POSITION_RULES
from problems import augmented_problem, gan_batch, mlp_problem, tanh_problem
from process_groups import run_in

PROCESSES = 4
K, L = 6, 5  # neither is shared out evenly to four, and one of them not to two
AUGMENTATION = Composed([Colour(), Cutout(0.5)])
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def cases():
    """Games and what they are played with, by name: made anew in every process."""
    images = augmented_problem(K, L, draws=AUGMENTATION.draws)
    packs = tanh_problem(K, L, packing=2)
    return {
        "Wasserstein, gradient penalty": (Wasserstein(GradientPenalty(2.0, 0.3)), mlp_problem(K, L)),
        "hinge, spectral normalisation": (Hinge(SpectralNormalization()), mlp_problem(K, L, (1, 4, 4))),
        "non-saturating, zero-centred penalty": (NonSaturating(ZeroCentredPenalty(2.0, 0.5)), mlp_problem(K, L)),
        "relativistic pairing": (Relativistic(ZeroCentredPenalty(0.7, 0.2)), mlp_problem(K, L)),
        "packs": (
            PackedGame(Wasserstein(GradientPenalty(2.0)), 2),
            packs._replace(batch=gan_batch(K, (2,), real=14, latents=10)),
        ),
        "augmentation": (AugmentedGame(NonSaturating(GradientPenalty(1.0)), AUGMENTATION), images),
    }


def cut(params, share):
    return {name: leaf[share.cut] for name, leaf in params.items()}


def own_part(problem, own):
    generators, critics = problem.profile
    shares = own.shares
    return problem.profile._replace(
        generators=generators._replace(params=cut(generators.params, shares[Player.GENERATOR])),
        critics=critics._replace(params=cut(critics.params, shares[Player.CRITIC])),
    )


def expected_part(whole, own):
    """Of a feedback of one process, what a process should find: all numbers, and the gradients of its own particles."""
    grads = {
        "generator_grads": whole.generator_grads and cut(whole.generator_grads, own.shares[Player.GENERATOR]),
        "critic_grads": whole.critic_grads and cut(whole.critic_grads, own.shares[Player.CRITIC]),
    }
    return whole._replace(**grads)


def flat(seen):
    return flatten({name: part for name, part in seen._asdict().items() if part is not None})


def everywhere_the_same(numbers):
    everyones = [torch.empty_like(numbers) for _ in range(dist.get_world_size())]
    dist.all_gather(everyones, numbers)
    return all(torch.equal(one, numbers) for one in everyones)


def check_feedback(name, game, problem, mesh, players, evaluate):
    own, traffic = Ownership(mesh, K, L, Traffic()), Traffic()
    batch = micro_batches(problem.batch, mesh.data_ranks, game.samples_together)[mesh.data_index]
    seen = own.evaluated(evaluate)(game, problem.networks, own_part(problem, own), batch, players)
    found = combine(seen, mesh, traffic)
    expected = expected_part(feedback(game, *problem, players), own)
    where = f"{name} on {mesh.data_ranks} x {mesh.particle_ranks} for {sorted(one.value for one in players)}"
    torch.testing.assert_close(flat(found), flat(expected), **EXACT, msg=lambda text: f"{where}: {text}")
    # To the last bit, or the log-weights that descend them would drift apart.
    for numbers in (found.values, found.generator_losses, found.critic_losses):
        assert everywhere_the_same(numbers), where


def check_all_feedbacks():
    assert abs(float(weights(mlp_problem(K, L).profile.critics).max()) - 1 / L) > 0.1  # unequal weights
    for columns in (1, 2, 4):
        mesh = make_mesh("cpu", columns)
        for name, (game, problem) in cases().items():
            for players in (BOTH, GENERATORS, CRITICS, NOBODY):
                check_feedback(name, game, problem, mesh, players, feedback)
    game, problem = cases()["Wasserstein, gradient penalty"]
    check_feedback("in parts", game, problem, make_mesh("cpu", 2), BOTH, Accumulated(2, 2))


def check_traffic():
    """Samples and slopes of float64, whatever the networks are."""
    mesh, traffic = make_mesh("cpu", None), Traffic()
    own = Ownership(mesh, K, L, traffic)
    game, problem = cases()["relativistic pairing"]
    seen = own.evaluated(feedback)(game, problem.networks, own_part(problem, own), problem.batch, BOTH)
    sample = 8 * problem.batch.latent.shape[1] * 2  # bytes of one generator's samples
    longest, mine = 2, own.shares[Player.GENERATOR].size
    assert traffic.bytes_sent == (longest + K - mine) * sample
    combine(seen, mesh, traffic)
    assert traffic.bytes_sent == (longest + K - mine) * sample + 8 * (K * L + K + L)


def moved(dynamics, problem, game, mesh, own, steps=3, parts=None):
    """The state of a dynamics after some steps on the same draws, evaluated at once or in fixed parts."""
    evaluate = feedback if parts is None else Pairwise(parts // mesh.data_ranks)
    batch = micro_batches(problem.batch, mesh.data_ranks)[mesh.data_index]
    traffic = Traffic()
    oracle = GameOracle(
        game,
        problem.networks,
        lambda _: batch,
        lambda seen: combine(seen, mesh, traffic, pairwise=parts is not None),
        own.evaluated(evaluate),
    )
    state = dynamics.init(own_part(problem, own))
    for step in range(steps):
        state, _ = dynamics.step(state, oracle, StepNoise(torch.device("cpu"), (5, step), own.shares))
    return state


def check_dynamics():
    """Every dynamics that says that it can be shared out, and every rule; the first process has all, for checkpoints.

    On smooth networks and losses, where no gradient is zero but for rounding: Adam would make steps of that.
    """
    mesh, game, problem = make_mesh("cpu", 2), NonSaturating(GradientPenalty(2.0, 0.3)), tanh_problem(K, L)
    own, alone = Ownership(mesh, K, L, Traffic()), Ownership(Mesh(), K, L, Traffic())
    mirror = EntropicMirrorDescent(0.3)
    arms = {kind.__name__: make() for kind, make in DYNAMICS.items() if make().is_separable}
    assert len(arms) >= 8
    for kind, rule in POSITION_RULES.items():
        arms[kind.__name__] = Simultaneous(PlayerRules(rule(), mirror), PlayerRules(rule(), mirror))
    for name, dynamics in arms.items():
        state = flatten(moved(dynamics, problem, game, mesh, own))
        expected = flatten(moved(dynamics, problem, game, Mesh(), alone))
        owners = own.owners(dynamics, own_part(problem, own))
        if mesh.particle_index == 0 and mesh.data_index == 0:
            found = own.collected(state, owners)
        else:
            own.collected(state, owners)
            found, expected = state, own.cut(expected, owners)
        torch.testing.assert_close(
            found, expected, rtol=1e-10, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}"
        )


def check_fixed_parts():
    """Adam in float32, which makes whole steps of rounding: the same bits however many processes there are."""
    adam = PlayerRules(Adam(1e-3, 0.5), EntropicMirrorDescent(0.3))
    game, dynamics = Wasserstein(GradientPenalty(2.0)), Alternating(adam, adam, 2)
    problem, batch = mlp_problem(K, L), gan_batch(K, (2,), real=16, latents=8)
    single = {name: getattr(batch, name).float() for name in ("real", "latent", "anchor", "mix")}
    profile = map_leaves(lambda _, leaf: leaf.float(), problem.profile)
    problem = problem._replace(profile=profile, batch=batch._replace(**single))
    alone = Ownership(Mesh(), K, L, Traffic())
    expected = flatten(moved(dynamics, problem, game, Mesh(), alone, steps=20, parts=PROCESSES))
    found = flatten(moved(dynamics, problem, game, make_mesh("cpu", 1), alone, steps=20, parts=PROCESSES))
    assert all(torch.equal(torch.as_tensor(found[name]), torch.as_tensor(expected[name])) for name in expected)
    at_once = flatten(moved(dynamics, problem, game, Mesh(), alone, steps=20))
    assert not torch.equal(
        at_once["generators/population/params/layers.0.weight"],
        expected["generators/population/params/layers.0.weight"],
    )


def check_rows():
    group, rank = dist.group.WORLD, dist.get_rank()
    for total in (4, 6, 7):
        share, everyones = share_of(total, PROCESSES, rank), torch.arange(3.0 * total).reshape(total, 3)
        assert torch.equal(gather_rows(everyones[share.cut], share, group, Traffic()), everyones)
        summed = sum_rows((rank + 1) * everyones, share, group, Traffic())
        assert torch.equal(summed, 10 * everyones[share.cut])
        collected = collect_rows(everyones[share.cut], share, group)
        assert (collected is None) == (rank > 0)
        assert collected is None or torch.equal(collected, everyones)


def check_ownership():
    mesh = make_mesh("cpu", 2)
    own = Ownership(mesh, K, L, Traffic())
    masks = torch.tensor([True, False, False, True, False])
    assert torch.equal(own.everyones(Player.CRITIC, masks[own.shares[Player.CRITIC].cut]), masks)
    whole = {"critics": torch.randn(L, 2, generator=torch.Generator().manual_seed(0)), "updates": 3}
    owners = {"critics": Player.CRITIC}
    mine = own.cut(whole, owners)
    collected = own.collected(mine, owners)
    expected = whole if mesh.particle_index == 0 and mesh.data_index == 0 else mine
    assert collected["updates"] == 3
    assert torch.equal(collected["critics"], expected["critics"])


def check_meshes():
    rank = dist.get_rank()
    mesh = make_mesh("cpu", 2)
    assert (mesh.particle_index, mesh.particle_ranks, mesh.data_index, mesh.data_ranks) == (rank % 2, 2, rank // 2, 2)
    assert dist.get_process_group_ranks(mesh.particle_group) == [rank - rank % 2, rank - rank % 2 + 1]
    assert dist.get_process_group_ranks(mesh.data_group) == [rank % 2, rank % 2 + 2]
    assert make_mesh("cpu", 1).particle_group is make_mesh("cpu", None).data_group is None
    with pytest.raises(InvalidInputError, match=r"particle_ranks must divide the number of processes \(4\), found 3"):
        make_mesh("cpu", 3)
    with pytest.raises(InvalidInputError, match="4 processes cannot share out 6 generators and 3 critics: each needs"):
        Ownership(make_mesh("cpu", None), 6, 3, Traffic())


def check_means():
    """Whole numbers, whose mean is exact; what nobody asked for stays None."""
    mesh, rank = make_mesh("cpu", 1), dist.get_rank()
    ones, grads = torch.ones(3, 2), {"a.b": torch.full((3, 4), 2.0 * rank), "c": torch.full((3, 1, 2), -2.0 * rank)}
    mean = combine(Feedback(rank * ones, rank * ones[:, 0], rank * ones[0], grads, None), mesh, Traffic())
    expected = Feedback(1.5 * ones, 1.5 * ones[:, 0], 1.5 * ones[0], {"a.b": 3 * torch.ones(3, 4)}, None)
    assert mean.critic_grads is None
    assert torch.equal(mean.generator_grads.pop("c"), torch.full((3, 1, 2), -3.0))
    for path, leaf in flat(expected).items():
        assert torch.equal(flat(mean)[path], leaf), path


def everything():
    check_means()
    check_meshes()
    check_rows()
    check_ownership()
    check_traffic()
    check_all_feedbacks()
    check_dynamics()
    check_fixed_parts()


@pytest.mark.distributed
@pytest.mark.slow
def test_four_processes_in_every_grid_evaluate_games_as_one_does(tmp_path):
    run_in(PROCESSES, everything, tmp_path)
