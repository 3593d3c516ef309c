"""What a `MixedGAN` refuses before it is built."""

from collections.abc import Mapping, Sequence

from mixnash.core.augmentations.base import AbstractAugmentation
from mixnash.core.dynamics.base import AbstractDynamics
from mixnash.core.errors import require
from mixnash.core.games.augmented import AugmentedGame
from mixnash.core.games.base import AbstractGame
from mixnash.core.games.packed import PackedGame
from mixnash.networks.base import AbstractCritic, AbstractGenerator
from mixnash.networks.normalizations import mixes_samples


def check_counts(particles: Mapping[str, int], samples: Mapping[str, int | None], packing: int) -> None:
    """Refuse players without particles, and numbers of samples that are none.

    Raises:
        InvalidInputError: when a count is below 1.
    """
    for name, count in particles.items():
        require(count >= 1, f"{name} must be at least 1, found {count}: a mixed strategy needs a particle.")
    for name, number in samples.items():
        require(number is None or number >= 1, f"{name} must be at least 1, found {number}.")
    require(packing >= 1, f"The packing must be at least 1 sample, found {packing}.")


def check_sampled(players: Mapping[str, tuple[int | None, int]]) -> None:
    """Refuse to sample more particles of a player than there are.

    Args:
        players: by name, how many are sampled, None for all, and how many there are.

    Raises:
        InvalidInputError: when a number is outside of 1 to that count.
    """
    for name, (sampled, count) in players.items():
        require(
            sampled is None or 1 <= sampled <= count,
            f"sampled_{name} must lie between 1 and the number of {name} ({count}), found {sampled}: "
            "leave it out to play all of them.",
        )


def check_separable(dynamics: AbstractDynamics, sampled: tuple[int | None, int | None]) -> None:
    """Refuse to share out particles that do not move one by one.

    Args:
        dynamics: moves them.
        sampled: how many generators and critics are met in an evaluation; None for all.

    Raises:
        InvalidInputError: when the dynamics looks at all positions together, or meets sampled opponents.
    """
    require(
        dynamics.is_separable,
        f"{type(dynamics).__name__} looks at the positions of all particles together, so processes cannot own shares "
        "of them: use --trainer.strategy data_parallel.",
    )
    require(
        sampled == (None, None),
        "Sampled opponents may be on any process, which particle_parallel does not do: leave sampled_generators and "
        "sampled_critics out, or use --trainer.strategy data_parallel.",
    )


def check_shared_batch(data_ranks: int, normalises_by_batches: bool) -> None:
    """Refuse to share a batch out to processes where a network looks at several samples together.

    Raises:
        InvalidInputError: when one does: each process would normalise by its share, and the run would depend on how
            many there are.
    """
    require(
        data_ranks == 1 or not normalises_by_batches,
        f"A network normalises by batches, so that a run whose batches {data_ranks} processes share out would not be "
        "that of one process: use GroupNormalization or NoNormalization, or particle_parallel, which keeps "
        "batches whole.",
    )


def check_parts(
    memory_limit: float | None, fixed_parts: int | None, generator: AbstractGenerator, critic: AbstractCritic
) -> None:
    """Refuse limits and parts that are none, and to split what cannot be split.

    Raises:
        InvalidInputError: when a number is out of range, both are given, or a network normalises by batches.
    """
    if memory_limit is None and fixed_parts is None:
        return
    require(
        memory_limit is None or fixed_parts is None,
        "memory_limit chooses the parts of evaluations by what fits, fixed_parts fixes them: give one of both.",
    )
    require(
        memory_limit is None or memory_limit > 0,
        f"memory_limit must be a positive number of GiB, found {memory_limit}.",
    )
    require(
        fixed_parts is None or (fixed_parts >= 1 and fixed_parts & (fixed_parts - 1) == 0),
        f"fixed_parts must be a power of two, found {fixed_parts}.",
    )
    check_splittable(generator, critic)


def check_unwrapped(game: AbstractGame) -> None:
    """Refuse games around the game, which arguments of their own make.

    Raises:
        InvalidInputError: when the game is on packs or on augmented samples already.
    """
    require(not isinstance(game, PackedGame), "Give the game itself, not a PackedGame, and set packing.")
    require(not isinstance(game, AugmentedGame), "Give the game itself, not an AugmentedGame, and set augmentation.")


def as_played(
    game: AbstractGame, packing: int, event_shape: Sequence[int], augmentation: AbstractAugmentation | None
) -> AbstractGame:
    """The game on packs if there is packing, on augmented samples if there is an augmentation.

    Raises:
        InvalidInputError: when the game is so already, or samples of that shape cannot be augmented.
    """
    check_unwrapped(game)
    packed = game if packing == 1 else PackedGame(game, packing)
    if augmentation is None:
        return packed
    augmentation.check(event_shape)
    return AugmentedGame(packed, augmentation)


def check_pairs(critic: AbstractCritic, generators: int) -> None:
    """Refuse critics whose payoff against one generator depends on the others.

    Raises:
        InvalidInputError: when a critic of several generators normalises by batches.
    """
    require(
        generators == 1 or not mixes_samples(critic),
        "A critic that normalises by batches sees the samples of all generators as one batch, so that its payoff "
        f"against one depends on the others, found one for {generators} generators: use GroupNormalization or "
        "NoNormalization.",
    )


def check_splittable(generator: AbstractGenerator, critic: AbstractCritic) -> None:
    """Refuse to evaluate batches in parts where a network looks at several samples together.

    Raises:
        InvalidInputError: when one of them normalises by batches.
    """
    for name, network in (("generator", generator), ("critic", critic)):
        require(
            not mixes_samples(network),
            f"Gradients cannot be accumulated over parts of a batch: the {name} normalises by batches, so that a part "
            "gives it other statistics than the whole. Use GroupNormalization or NoNormalization, or evaluate batches "
            "whole.",
        )
