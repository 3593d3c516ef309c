"""`mixnash reproduce`: figures and tables with known answers, each from one command."""

import argparse
from pathlib import Path

from mixnash.core.errors import require
from mixnash.evaluation.options import one_line_errors


def main(args: list[str] | None = None, prog: str = "mixnash reproduce") -> None:
    """The command: exit code 2 for bad input, 1 if a check disagrees.

    Args:
        args: command-line words; those of the process if None.
        prog: the command's name in its help.
    """
    # Imported here, so that usage errors need not wait for torch.
    from mixnash.reproduction.registry import REPRODUCTIONS

    lines = "\n".join(f"  {name:<24}{one.summary}" for name, one in REPRODUCTIONS.items())
    parser = argparse.ArgumentParser(
        prog=prog,
        description=f"Regenerate figures and tables, each as pictures and JSON.\n\nnames:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones")
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument(
        "--output", type=Path, default=Path("runs/reproduce"), metavar="DIR", help="files are replaced (%(default)s)"
    )
    parser.add_argument("--short", action="store_true", help="only show that everything runs; results mean nothing")
    found = parser.parse_args(args)
    with one_line_errors():
        agree = _reproduce(_chosen(found.names, found.all, list(REPRODUCTIONS)), found.output, found.short)
    if not agree:
        raise SystemExit(1)


def _chosen(names: list[str], everything: bool, known: list[str]) -> list[str]:
    strangers = [name for name in names if name not in known]
    require(not strangers, f"There is no reproduction {', '.join(strangers)}; there are {', '.join(known)}.")
    require(bool(names) != everything, "Name what to reproduce, or ask for --all.")
    return known if everything else list(dict.fromkeys(names))


def _reproduce(names: list[str], output: Path, short: bool) -> bool:
    from mixnash.evaluation.files import make_folder
    from mixnash.reproduction.registry import REPRODUCTIONS
    from mixnash.reproduction.report import print_checks, working, write_findings

    make_folder(output)  # fail now rather than after the work
    agree = True
    for name in names:
        with working(name, REPRODUCTIONS[name].parts) as work:
            findings = REPRODUCTIONS[name].run(work.advance, short, output / name)
        folder = write_findings(output / name, name, findings, work.seconds(), short)
        print_checks(name, findings.checks, work.seconds(), folder, short)
        agree = agree and (short or all(check.agrees for check in findings.checks))
    return agree
