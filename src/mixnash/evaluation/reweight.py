"""`evaluate.py --reweight`: the generators' weights solved for on held-out data, and what that changed."""

import json
import math
from pathlib import Path
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor
from torchmetrics import MetricCollection

from mixnash.core.errors import require
from mixnash.core.feedback import feedback
from mixnash.core.population import effective_size, size, weights
from mixnash.core.random import Purpose, mix_key, stream
from mixnash.core.rules.adam import Adam
from mixnash.core.types import BOTH, CRITICS, NOBODY, Batch, Params, Player, Players, Population, Profile
from mixnash.equilibrium.best_response import train_responses
from mixnash.equilibrium.reweight import Reweighting, reweight
from mixnash.equilibrium.starts import joined
from mixnash.evaluation.files import write_file
from mixnash.evaluation.load import LoadedRun
from mixnash.evaluation.pictures import SHARPNESS
from mixnash.evaluation.readings import number
from mixnash.figures.encode import to_png
from mixnash.figures.reweighting import weights_before_and_after
from mixnash.figures.style import DPI
from mixnash.lit.checkpoint_files import write_checkpoint
from mixnash.lit.checkpoints import CONFIG, read_checkpoint
from mixnash.lit.deviations import split_held_out
from mixnash.lit.draws import StepDraws
from mixnash.lit.scores import evaluation_metrics

STEPS, STEP_SIZE = 200, 1e-3
"""Updates by Adam of each new critic."""
TOLERANCE = 1e-3
"""The gain, in units of the payoff, below which no better weights are looked for."""
_REAL, _LATENT = 512, 512
"""Real samples, and about as many generated ones of the whole mixture, in one batch."""
_TRAIN, _SOLVE, _SCORE, _FRESH, _SAMPLES, _NOISE = range(6)  # streams


class Reweighted(NamedTuple):
    """Weights before and after, and what both are worth on held-out samples that the weights were not solved on."""

    solution: Reweighting
    before: dict[str, float]
    after: dict[str, float]
    weights_before: Float[Tensor, " K"]


def check_reweighting(run: LoadedRun, rounds: int, num_samples: int) -> None:
    """Refuse what cannot be reweighted, before other work starts.

    Raises:
        InvalidInputError: when there is one generator, the critics can win without bound, or a count is below 1.
    """
    require(rounds >= 1, f"--rounds must be at least 1, found {rounds}.")
    require(num_samples >= 1, f"num_samples must be at least 1, found {num_samples}.")
    count = size(run.module.profile(averaged=True).generators)
    require(count >= 2, "This run has one generator, so there are no weights to solve for: leave --reweight out.")
    require(
        run.module.game.bounded_above,
        f"The critics of this {type(run.module.game).__name__} game can win without bound, so no weights are best "
        "against them. Train with a constraint, or leave --reweight out.",
    )


def evaluate_reweighting(run: LoadedRun, num_samples: int, rounds: int, seed: int, averaged: bool) -> Reweighted:
    """Solve for the weights on one half of the held-out samples, and score old and new ones on the other.

    Args:
        run: a mixture.
        num_samples: held-out samples in each half; as many are drawn from the mixture to be scored.
        rounds: most searches for critics.
        seed: of every draw.
        averaged: whether to use the moving average of the generators' positions.

    Raises:
        InvalidInputError: as `check_reweighting`, or when fewer than two held-out samples differ.
    """
    check_reweighting(run, rounds, num_samples)
    # Where samples repeat, such as few images, none may be in both halves.
    solving, scoring = split_held_out(run.data, num_samples, num_samples, mix_key(seed, Purpose.REWEIGHTING))
    search = _Search(run, solving, seed, averaged)
    start = search.start
    solution = reweight(search.known(), start, search.respond, rounds, TOLERANCE)
    payoff = search.payoffs(search.critics, search.penalties, _batches(run, scoring, seed, _SCORE))
    before, after = (_numbers(run, one, payoff, scoring, seed, averaged) for one in (start, solution.weights))
    return Reweighted(solution, before, after, start)


@final
class _Search:
    """Critics that answer weights, and their payoffs on held-out samples."""

    def __init__(self, run: LoadedRun, solving: Tensor, seed: int, averaged: bool) -> None:
        self._run, self._seed = run, seed
        self._profile = run.module.profile(averaged)
        self._batches = _batches(run, solving, seed, _SOLVE)
        self._rounds = 0
        self.start = weights(self._profile.generators).double().cpu()
        self.critics = {name: leaf.clone() for name, leaf in self._profile.critics.params.items()}
        self.penalties = self._penalties(self.critics, self.start)

    def known(self) -> Float[Tensor, "K L"]:
        """Payoffs of the run's own critics."""
        return self.payoffs(self.critics, self.penalties, self._batches)

    def respond(self, probabilities: Float[Tensor, " K"]) -> Float[Tensor, "K 3"]:
        """Train the run's heaviest critic, the latest one and a fresh one against these weights."""
        module, index = self._run.module, self._rounds
        self._rounds += 1
        heaviest = int(self._profile.critics.log_weights.argmax())
        own = {name: leaf[heaviest : heaviest + 1] for name, leaf in self._profile.critics.params.items()}
        latest = {name: leaf[-1:] for name, leaf in self.critics.items()}
        key = mix_key(self._seed, Purpose.REWEIGHTING, _FRESH, index)
        starts = joined(own, latest, module.fresh(Player.CRITIC, 1, key))
        draw = _TrainingDraws(self._run, mix_key(self._seed, Purpose.REWEIGHTING, _TRAIN), index * STEPS)
        rng = stream(module.device, self._seed, Purpose.REWEIGHTING, _NOISE, index)
        opponents = Profile(self._mixture(probabilities), self._profile.critics)
        rule = Adam(STEP_SIZE, 0.0, 0.99)
        found = train_responses(module.game, module.networks, opponents, Player.CRITIC, starts, rule, STEPS, draw, rng)
        penalties = self._penalties(found, probabilities)
        self.critics, self.penalties = joined(self.critics, found), torch.cat([self.penalties, penalties])
        return self.payoffs(found, penalties, self._batches)

    def payoffs(self, critics: Params, penalties: Tensor, batches: list[Batch]) -> Float[Tensor, "K L"]:
        """Payoffs of all generators against critics, whose penalties are the same against every generator.

        Against its own generator a penalty would reward generators for making critics pay.
        """
        profile = Profile(self._profile.generators, _equal(critics))
        game, networks = self._run.module.game, self._run.module.networks
        seen = [feedback(game, networks, profile, batch, NOBODY).values.double() for batch in batches]
        return torch.stack(seen).mean(0).cpu() - penalties

    def _penalties(self, critics: Params, probabilities: Tensor) -> Float[Tensor, " L"]:
        """What critics pay against the mixture of these weights."""
        profile = Profile(self._mixture(probabilities), _equal(critics))
        game, networks = self._run.module.game, self._run.module.networks
        paid = []
        for batch in self._batches:
            losses = [
                feedback(game, networks, profile, batch, players).critic_losses.double()
                for players in (CRITICS, NOBODY)
            ]
            paid.append(losses[0] - losses[1])
        return torch.stack(paid).mean(0).cpu()

    def _mixture(self, probabilities: Tensor) -> Population:
        old = self._profile.generators
        return Population(old.params, probabilities.log().to(old.log_weights))


@final
class _TrainingDraws:
    """Training samples for the updates of critics."""

    def __init__(self, run: LoadedRun, seed: int, first: int) -> None:
        self._run, self._seed, self._step = run, seed, run.step + first

    def __call__(self, players: Players) -> Batch:
        """The draws of the next update."""
        self._step += 1
        real = self._run.data.training_draws(self._step, _REAL)
        return _draws(self._run, real, self._seed, self._step)(players)


def _draws(run: LoadedRun, real: Tensor, seed: int, index: int) -> StepDraws:
    count = size(run.module.profile(averaged=True).generators)
    each = 8 * math.ceil(_LATENT / (8 * count))  # whole packs, of the usual sizes
    device = run.module.device
    return StepDraws(real.unsqueeze(0).to(device), seed, index, run.module.latent_dim, count, each, each)


def _batches(run: LoadedRun, real: Tensor, seed: int, purpose: int) -> list[Batch]:
    """Held-out samples in batches with latents of their own."""
    key = mix_key(seed, Purpose.REWEIGHTING, purpose)
    return [_draws(run, part, key, index)(BOTH) for index, part in enumerate(real.tensor_split(-(-len(real) // _REAL)))]


def _equal(critics: Params) -> Population:
    count = len(next(iter(critics.values())))
    leaf = next(iter(critics.values()))
    return Population(critics, leaf.new_full((count,), -math.log(count)))


@torch.no_grad()
def _numbers(
    run: LoadedRun, probabilities: Tensor, payoff: Tensor, scoring: Tensor, seed: int, averaged: bool
) -> dict[str, float]:
    """Metrics of samples by these weights, the weights' effective size and their worst payoff."""
    module = run.module
    rng = stream(module.device, seed, Purpose.REWEIGHTING, _SAMPLES)
    params = module.profile(averaged).generators.params
    origin = torch.multinomial(probabilities.to(module.device), len(scoring), replacement=True, generator=rng)
    latent = torch.randn(len(scoring), module.latent_dim, generator=rng, device=module.device)
    samples = torch.empty(len(scoring), *run.data.event_shape, device=module.device)
    for index in torch.unique(origin).tolist():
        samples[origin == index] = module.generate_in_parts(
            {name: leaf[index] for name, leaf in params.items()}, latent[origin == index]
        )
    metrics: MetricCollection = evaluation_metrics(run.data).to(module.device)
    metrics.update(samples=samples.flatten(1), reference=scoring.to(module.device).flatten(1))
    found = {name: float(score) for name, score in metrics.compute().items()}
    own = {
        "effective_size": float(effective_size(probabilities.log())),
        "worst_payoff": float((probabilities @ payoff).max()),
    }
    return found | own


def write_reweighting(run: LoadedRun, found: Reweighted, folder: Path) -> Path:
    """Write reweighted.json, reweighted.png and reweighted.ckpt, a checkpoint with the new weights.

    Returns:
        The path of the checkpoint.

    Raises:
        InvalidInputError: when the table or the figure cannot be written.
        UnwritableError: when the checkpoint cannot be written.
    """
    solution = found.solution
    record = {
        "weights_before": found.weights_before.tolist(),
        "weights_after": solution.weights.tolist(),
        "before": {name: _plain(value) for name, value in found.before.items()},
        "after": {name: _plain(value) for name, value in found.after.items()},
        "worst_payoff_when_solved": {"before": solution.worst_before, "after": solution.worst, "bound": solution.bound},
        "critics": solution.payoff.shape[1],
        "rounds": solution.rounds,
        "checkpoint": str(run.checkpoint_path),
    }
    write_file(folder / "reweighted.json", (json.dumps(record, indent=2, allow_nan=False) + "\n").encode())
    figure = weights_before_and_after(found.weights_before, solution.weights, "Weights of the generators")
    write_file(folder / "reweighted.png", to_png(figure, SHARPNESS * DPI))
    content = read_checkpoint(run.checkpoint_path)
    state = dict(content["state_dict"])
    name = "generators.log_weights"
    state[name] = solution.weights.log().to(state[name])
    write_checkpoint(
        {"state_dict": state, CONFIG: content[CONFIG], "global_step": run.step}, folder / "reweighted.ckpt"
    )
    return folder / "reweighted.ckpt"


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def print_reweighting(found: Reweighted) -> None:
    """Print the numbers before and after."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("reweighting, on other held-out samples")
    table.add_column("before", justify="right")
    table.add_column("after", justify="right")
    for name, value in found.before.items():
        table.add_row(Text(name), number(value), number(found.after[name]))
    Console().print(table)
    solution = found.solution
    moved = float((solution.weights - found.weights_before).abs().sum()) / 2
    before, after, bound = (number(value) for value in (solution.worst_before, solution.worst, solution.bound))
    print(
        f"moved {moved:.1%} of the weight; where it was solved, the worst payoff against {solution.payoff.shape[1]} "
        f"critics went from {before} to {after} (at best {bound})"
    )


def run_reweighting(run: LoadedRun, folder: Path, num_samples: int, rounds: int, seed: int, averaged: bool) -> None:
    """Solve, write the files and print the table.

    Raises:
        InvalidInputError: as `check_reweighting`, or when nothing can be written.
    """
    with Console(stderr=True).status(f"Solving for the weights, at most {rounds} rounds of {STEPS} updates ..."):
        found = evaluate_reweighting(run, num_samples, rounds, seed, averaged)
        checkpoint = write_reweighting(run, found, folder)
    print_reweighting(found)
    print(f"reweighted checkpoint: {checkpoint}")
