"""`evaluate.py`: all numbers and pictures of a finished run, in files, as a page and on the terminal."""

import argparse
import shlex
from pathlib import Path

from mixnash.core.errors import require
from mixnash.evaluation.options import RunOptions, SearchOptions, add_run_options, one_line_errors, run_options

SUMMARY = "Score a finished run; write metrics.json, figures/*.png and report.html."


def main(args: list[str] | None = None, prog: str = "evaluate.py") -> None:
    """The command: bad input ends in one sentence and exit code 2.

    Args:
        args: command-line words; those of the process if None.
        prog: the command's name in its help.
    """
    parser = argparse.ArgumentParser(prog=prog, description=SUMMARY, allow_abbrev=False)
    add_run_options(parser)
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="where to write; files are replaced (default: RUN_DIR/evaluation)"
    )
    parser.add_argument(
        "--download_inception",
        action="store_true",
        help="fetch the weights of Inception (96 MB) first if they are not here: fid needs them",
    )
    search = parser.add_argument_group("how far from equilibrium")
    search.add_argument(
        "--equilibrium", action="store_true", help="bound the duality gap from below, by searching for deviations"
    )
    search.add_argument(
        "--budget", type=int, metavar="K", help="updates of each deviator; 4 K are tried too (default: 200)"
    )
    search.add_argument(
        "--starts", type=int, metavar="N", help="atoms, perturbed atoms and fresh networks to start from (default: 4)"
    )
    weights = parser.add_argument_group("better weights")
    weights.add_argument(
        "--reweight", action="store_true", help="solve for the generators' weights on held-out data; score old and new"
    )
    weights.add_argument("--rounds", type=int, metavar="N", help="searches for critics that answer (default: 10)")
    found = parser.parse_args(args)
    with one_line_errors():
        require(
            found.particle is None or not (found.equilibrium or found.reweight),
            f"The duality gap and the weights belong to the mixture: leave --particle {found.particle} out, or "
            "--equilibrium and --reweight.",
        )
        if found.download_inception:
            _fetch_inception()
        run_evaluation(run_options(found), found.output, _search_options(found), _rounds(found))


def _fetch_inception() -> None:
    """Fetch and check the weights, unless they are here: evaluations find them by themselves then."""
    from mixnash.metrics.features.inception import load_inception

    load_inception()


def _rounds(found: argparse.Namespace) -> int | None:
    """How long to solve for weights; None if that is not asked for."""
    require(
        found.reweight or found.rounds is None,
        "--rounds belongs to the search for better weights: add --reweight, or leave it out.",
    )
    require(
        found.rounds is None or found.rounds >= 2,
        f"--rounds must be at least 2, found {found.rounds}: the first only tells what the old weights are worth.",
    )
    if not found.reweight:
        return None
    return 10 if found.rounds is None else int(found.rounds)


def _search_options(found: argparse.Namespace) -> SearchOptions | None:
    """Read them back; None if the distance from equilibrium is not asked for."""
    given = [name for name, value in (("budget", found.budget), ("starts", found.starts)) if value is not None]
    require(
        found.equilibrium or not given,
        f"--{given[0] if given else ''} belongs to the search for deviations: add --equilibrium, or leave it out.",
    )
    if not found.equilibrium:
        return None
    return SearchOptions(200 if found.budget is None else found.budget, 4 if found.starts is None else found.starts)


def run_evaluation(
    options: RunOptions, output: Path | None, search: SearchOptions | None = None, rounds: int | None = None
) -> None:
    """Evaluate, write every file, and print the table.

    Args:
        options: which run and which draws.
        output: a folder; ``evaluation`` in the run's own if None.
        search: for the distance from equilibrium; not asked for if None.
        rounds: of the search for better weights; not asked for if None.

    Raises:
        InvalidInputError: when the run cannot be loaded, the options do not fit it, or nothing can be written.
    """
    # Imported here, so that help and usage errors need not wait for torch.
    from rich.console import Console

    from mixnash.evaluation.equilibrium import check_equilibrium, evaluate_equilibrium
    from mixnash.evaluation.evaluate import evaluate
    from mixnash.evaluation.files import make_folder
    from mixnash.evaluation.load import load_run
    from mixnash.evaluation.reweight import check_reweighting, run_reweighting
    from mixnash.evaluation.table import print_notes, print_table
    from mixnash.evaluation.write import write_evaluation

    run = load_run(options.run, options.checkpoint, options.which, options.device)
    if search is not None:
        check_equilibrium(run, search)
    if rounds is not None:
        check_reweighting(run, rounds, options.num_samples)
    folder = run.folder / "evaluation" if output is None else output
    make_folder(folder)  # fail now rather than after the work
    with Console(stderr=True).status(f"Evaluating step {run.step:,} ...") as status:
        result = evaluate(run, options.num_samples, options.seed, options.averaged, options.particle)
        if search is not None:
            status.update(f"Searching for deviations from step {run.step:,}, {4 * search.budget:,} updates ...")
            found = evaluate_equilibrium(run, search, options.seed, options.averaged)
            result = result._replace(equilibrium=found)
            status.update("Drawing ...")
        report = write_evaluation(
            run, result, folder, _command(options, search, run.checkpoint_path, str(run.module.device))
        )
    print_table(result)
    print_notes(result)
    print(f"checkpoint: {run.checkpoint_path} (step {run.step})")
    print(f"report: {report}")
    if rounds is not None:
        run_reweighting(run, folder, options.num_samples, rounds, options.seed, options.averaged)


def _command(options: RunOptions, search: SearchOptions | None, checkpoint: Path, device: str) -> str:
    """What to type for the same evaluation, whatever becomes of the run's last checkpoint."""
    words = ["python", "evaluate.py", "--checkpoint", str(checkpoint), "--num_samples", str(options.num_samples)]
    words += ["--seed", str(options.seed), "--ema" if options.averaged else "--raw"]
    words += [] if options.particle is None else ["--particle", str(options.particle)]
    if search is not None:
        words += ["--equilibrium", "--budget", str(search.budget), "--starts", str(search.starts)]
    return shlex.join([*words, "--device", device])
