"""Train: `python train.py fit --config configs/experiment/gaussians25.yaml`."""

from mixnash.cli import main

if __name__ == "__main__":
    main()
