# make demo    from nothing to a trained, measured, exported ERFNet, in .venv and ~/.erfnet-jobs/demo
# make test    all tests       make check   linters, types, import directions       make bench   speed, as ratios
# make infer310  the C++ programs for Ascend 310 and CPUs into .venv, with LITE_HOME or what `make lite` gets from PyPI
# make chaos   random faults by the thousand, for an hour or more; to repeat: make chaos CHAOS_SEED=N CHAOS_RUNS=N
#
# DATA=DIR     the demo's dataset (Cityscapes layout) instead of made-up scenes
# PYTHON=...   the Python for .venv (default: the first of python3, python3.12, python3.11 that is 3.11 or 3.12)
# TESTS=...    what to test (default: tests)
# LITE_HOME=D  the vendor's MindSpore Lite, unpacked, for infer310 (default: the one for x86_64 CPUs on PyPI)

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

# The one MindSpore Lite on PyPI. It is for CPython 3.7 there, but its C++ libraries need no Python.
LITE_VERSION := 2.0.0
LITE_SHA256 := 199cd0605cc985b88eddb273db9dfe9000a585ba10ca2292b6b36ebfff07b3ec
LITE := build/lite/mindspore_lite-$(LITE_VERSION)
LITE_HOME ?=
has_onnx = import sys; from importlib.util import find_spec; \
	sys.exit(not all(map(find_spec, ("erfnet_jobs", "mindspore", "onnx", "onnxruntime"))))
NEEDS_LITE := $(if $(LITE_HOME),,lite)
# The folder itself; only builds and checks are told, for what runs finds the libraries by itself.
lite_home = $(or $(LITE_HOME),$(if $(wildcard $(LITE)),$(CURDIR)/$(LITE)/mindspore_lite))

.PHONY: help demo lite infer310 infer310-programs infer310-if-possible test chaos check format bench dist clean

help:
	@sed -n '1,10s/^# \{0,1\}//p' Makefile

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
	@$(PIP) install --editable '.[worker,local,postgresql,onnx,plot]' --group dev
	@touch $@

demo: $(VENV)/.worker
	@exec $(BIN)/erfnet-jobs demo $(if $(DATA),--data '$(DATA)')

# Unpacked beside its place and moved there whole: what was interrupted starts anew.
$(LITE):
	@[ "$$(uname -m)" = x86_64 ] || { echo "PyPI has MindSpore Lite for x86_64 only, this is $$(uname -m):" \
		"unpack the vendor's tarball (mindspore-lite for Ascend) and say make infer310 LITE_HOME=/path/to/it"; exit 2; }
	@echo "Getting MindSpore Lite $(LITE_VERSION) from PyPI into $@ (170 MB, 500 MB unpacked)"
	@rm -rf build/lite && mkdir -p build/lite/new
	@echo 'mindspore-lite==$(LITE_VERSION) --hash=sha256:$(LITE_SHA256)' >build/lite/wanted.txt
	@$(PIP) download --no-deps --only-binary=:all: --python-version 3.7 --platform manylinux1_x86_64 \
		--dest build/lite --requirement build/lite/wanted.txt
	@$(BIN)/python -m zipfile --extract build/lite/mindspore_lite-*.whl build/lite/new
	@rm build/lite/mindspore_lite-*.whl && mv build/lite/new $@

lite: | $(BIN)/python
	@$(if $(NEEDS_LITE),$(MAKE) --silent --no-print-directory $(LITE),:)
	@echo "MindSpore Lite is in $(if $(NEEDS_LITE),$(LITE)/mindspore_lite,LITE_HOME=$(LITE_HOME))"

# The programs alone, into whichever VENV: deploy/install.sh, too, builds them so.
infer310-programs: $(NEEDS_LITE) | $(BIN)/python
	@[ -z '$(LITE_HOME)' ] || [ -e '$(LITE_HOME)/runtime/include/api/model.h' ] || [ -e '$(LITE_HOME)/include/api/model.h' ] || { \
		echo "LITE_HOME=$(LITE_HOME) is no MindSpore Lite, it has no runtime/include/api/model.h: correct it," \
			"or leave it out on x86_64 to take PyPI's"; exit 2; }
	@missing=$$(ascend310_infer/missing_packages programs); [ -z "$$missing" ] || { \
		echo "erfnet_infer cannot be built, not installed: $$missing"; exit 2; }
	@echo "Building erfnet_infer and erfnet_convert into $(BIN)"
	@mkdir -p build
	@cd ascend310_infer && LITE_HOME='$(or $(LITE_HOME),$(CURDIR)/$(LITE)/mindspore_lite)' cmake --preset infer310 \
		>../build/infer310.log 2>&1 && cmake --build --preset infer310 --parallel "$$(nproc)" >>../build/infer310.log 2>&1 || \
		{ cat ../build/infer310.log; exit 1; }
	@cmake --install build/ascend310_infer/infer310 --prefix $(VENV) >/dev/null
	@$(BIN)/erfnet_infer --version

infer310: infer310-programs
	@$(BIN)/python -Ic '$(has_onnx)' || { echo "Installing erfnet-jobs with MindSpore and ONNX, which checkpoints need"; \
		$(PIP) install --editable '.[worker,onnx]' || echo "Not installed: until then, jobs here take --model only"; }

# For the tests, which skip what needs the programs where this says that they are not there.
infer310-if-possible: | $(BIN)/python
	@missing=$$(ascend310_infer/missing_packages programs); if [ -n "$$missing" ]; then \
		echo "Tests of erfnet_infer will skip, not installed: $$missing"; \
	elif [ "$$(uname -m)" != x86_64 ] && [ -z "$(LITE_HOME)" ]; then \
		echo "Tests of erfnet_infer will skip: no LITE_HOME, and PyPI has no MindSpore Lite for $$(uname -m)"; \
	else $(MAKE) --no-print-directory infer310; fi

test: $(VENV)/.dev infer310-if-possible
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup $(TESTS)

# A seed and a number of runs from the environment or the command line reach the tests; see tests/chaos_runs.py.
chaos: $(VENV)/.dev infer310-if-possible
	CHAOS_SEED='$(CHAOS_SEED)' CHAOS_RUNS='$(CHAOS_RUNS)' $(BIN)/python -m pytest -m chaos --timeout 0 -rP \
		-n $(TEST_PROCESSES) --dist loadgroup $(TESTS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	LITE_HOME='$(lite_home)' ascend310_infer/check $(BIN)
	deploy/check $(BIN)

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i ascend310_infer/src/* ascend310_infer/convert/* ascend310_infer/tests/*.cc ascend310_infer/tests/*.h

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks

dist: $(VENV)/.dev
	$(PIP) install build
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
