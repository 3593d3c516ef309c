# Everything a fresh machine needs: `make demo` and `make test`. PYTHON must be 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
RUNS ?= runs
SEED ?= 0

.DEFAULT_GOAL := help
.PHONY: help setup test lint types unit smoke demo bench clean

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(VENV)/.installed ## create .venv with the tested versions of everything

lint: setup ## style, spelling, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/lint-imports

types: setup ## mypy --strict
	$(BIN)/mypy

unit: setup ## the tests alone, in parallel
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto

test: lint types unit ## everything that must be green

smoke: setup ## run every configuration for a few steps
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto tests/test_configs.py

demo: setup ## train the 25 Gaussians, evaluate, write pictures and a report
	$(BIN)/python train.py fit --config configs/experiment/gaussians25.yaml --seed_everything $(SEED) --runs_dir $(RUNS)
	$(BIN)/python evaluate.py --run "$$(ls -td $(RUNS)/gaussians25/version_* | head -1)"

bench: setup ## measure speed and quality against the alternatives (takes long)
	$(BIN)/python benchmarks/step_speed.py
	$(BIN)/python benchmarks/mixture_step.py
	$(BIN)/python benchmarks/quality.py --group budget
	$(BIN)/python benchmarks/game_speed.py
	$(BIN)/python benchmarks/frechet_speed.py
	$(BIN)/python benchmarks/stacked_convolutions.py

clean: ## remove the environment and caches, never runs
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
