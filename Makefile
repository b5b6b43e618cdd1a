# make demo: the whole way on rendered videos, from files to a classified video.
# make demo-recordings: the whole way on rendered recordings, from events to a timeline and bouts.
# make test: everything that a change must pass, but for what is slow.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install demo demo-recordings test test-all test-slow checks lint types docs doctests tests coverage format clean

help:
	@echo "make demo       render videos, prepare, train, evaluate and classify one"
	@echo "make demo-recordings  the same with long recordings: an answer at every frame"
	@echo "make test       lint, types, docs, doctests and tests, beside each other"
	@echo "make test-all   the same, and the slow tests: clusters, codecs, empty environments"
	@echo "make test-slow  the slow tests alone"
	@echo "make lint       ruff alone"
	@echo "make types      mypy alone"
	@echo "make coverage   the tests, and the lines that none of them runs"
	@echo "make docs       the pages of docs/ as a site, into site/"
	@echo "make format     format the code"
	@echo "make clean      remove .venv, site, and data and runs of the demos"

.venv/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 2; }
	@$(PYTHON) -m venv .venv || \
		{ echo "No virtual environment could be made: apt install python3-venv"; exit 2; }
	$(BIN)/pip install --quiet --editable .
	@touch $@

.venv/.installed-test: .venv/.installed
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch $@

install: .venv/.installed

# A training that was interrupted goes on, to its export; a finished one is done anew.
demo: install
	$(BIN)/python scripts/prepare.py
	$(BIN)/python scripts/train.py --run runs/demo $(if $(wildcard runs/demo/checkpoint.npz),,$(if $(wildcard runs/demo/bundle.json),--overwrite))
	$(BIN)/python scripts/evaluate.py runs/demo
	$(BIN)/python scripts/classify.py --run runs/demo data/demo/videos/stand_up/figure95_0.*

demo-recordings: install
	$(BIN)/python scripts/prepare.py --source demo_recordings
	$(BIN)/python scripts/train.py --config demo_recordings --run runs/demo_recordings $(if $(wildcard runs/demo_recordings/checkpoint.npz),,$(if $(wildcard runs/demo_recordings/bundle.json),--overwrite))
	$(BIN)/python scripts/evaluate.py runs/demo_recordings --bins 30
	rm -f runs/demo_recordings/figure39.*
	$(BIN)/python scripts/classify.py --run runs/demo_recordings --timeline data/demo_recordings/videos/figure39.* --out runs/demo_recordings/figure39.bouts.csv runs/demo_recordings/figure39.png

# Tests start hundreds of processes: what Python compiled is kept for the next one.
test test-all test-slow: export PYTHONDONTWRITEBYTECODE =
PYTEST := $(BIN)/pytest --quiet --numprocesses auto --maxprocesses 4 --dist worksteal

# All of it runs to its end, whatever fails.
test: .venv/.installed-test
	$(MAKE) --keep-going --jobs 3 tests checks

test-all: .venv/.installed-test
	$(MAKE) --keep-going --jobs 3 tests checks WHICH='slow or not slow'

test-slow: .venv/.installed-test
	$(PYTEST) -m slow

checks:
	$(MAKE) --keep-going --output-sync=target lint types docs doctests

lint: .venv/.installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/.installed-test
	$(BIN)/mypy

doctests: .venv/.installed-test
	$(BIN)/pytest --quiet --doctest-modules pipeline

WHICH := not slow
tests: .venv/.installed-test
	$(PYTEST) -m '$(WHICH)'

# What no test runs. Not part of `make test`: counting lines costs a third more time.
coverage: .venv/.installed-test
	$(PYTEST) --cov --cov-report=term:skip-covered

# A warning is an error (but not with --quiet, which hides both). The variable silences an advertisement.
docs: .venv/.installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

format: .venv/.installed-test
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv site data/demo runs/demo data/demo_recordings runs/demo_recordings
