"""Evaluate a run: `python evaluate.py --run runs/gaussians25/version_0`."""

from mixnash.evaluation.cli import main

if __name__ == "__main__":
    main()
