# make demo    from nothing to a trained, measured, exported ERFNet, in .venv and ~/.erfnet-jobs/demo
# make test    all tests       make check   linters, types, import directions       make bench   speed, as ratios
# make chaos   random faults by the thousand, for an hour or more; to repeat: make chaos CHAOS_SEED=N CHAOS_RUNS=N
#
# DATA=DIR     the demo's dataset (Cityscapes layout) instead of made-up scenes
# PYTHON=...   the Python for .venv (default: the first of python3, python3.12, python3.11 that is 3.11 or 3.12)
# TESTS=...    what to test (default: tests)

SHELL := /bin/sh
.DEFAULT_GOAL := help
DATA ?=
TESTS ?= tests
# As many test processes as cores, but no more than memory holds: a MindSpore test takes up to 2 GB a process.
TEST_PROCESSES ?= 2
VENV := .venv
BIN := $(VENV)/bin
fits = import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
PYTHON ?= $(shell for python in python3 python3.12 python3.11; do \
	"$$python" -c '$(fits)' 2>/dev/null && { echo "$$python"; exit; }; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test chaos check format bench dist clean

help:
	@sed -n '1,8s/^# \{0,1\}//p' Makefile

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "No Python 3.11 or 3.12 with venv found: install one, or say make PYTHON=/path/to/python3.12"; exit 2; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.worker: pyproject.toml | $(BIN)/python
	@echo "Installing erfnet-jobs with MindSpore (about 1 GB the first time)"
	@$(PIP) install --upgrade 'pip>=25.1'  # dependency groups
	@$(PIP) install --editable '.[worker,local]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.worker
	@echo "Installing what tests and checks need"
	@$(PIP) install --editable '.[worker,local,postgresql,onnx]' --group dev
	@touch $@

demo: $(VENV)/.worker
	@exec $(BIN)/erfnet-jobs demo $(if $(DATA),--data '$(DATA)')

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup $(TESTS)

# A seed and a number of runs from the environment or the command line reach the tests; see tests/chaos_runs.py.
chaos: $(VENV)/.dev
	CHAOS_SEED='$(CHAOS_SEED)' CHAOS_RUNS='$(CHAOS_RUNS)' $(BIN)/python -m pytest -m chaos --timeout 0 -rP \
		-n $(TEST_PROCESSES) --dist loadgroup $(TESTS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks

dist: $(VENV)/.dev
	$(PIP) install build
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
