# Every target sets up what it needs in .venv, also on a fresh machine.
#   make demo    a recorded session in, a synthetic recording out: demo_output/
#   make test    the tests        make lint    style        make types   type checks
#   make docs    docs/_build      make clean   removes what was built, .venv excepted
# PYTHON chooses the interpreter (3.11 or later), PIP_ARGS adds arguments to pip (an index, say).

PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip install $(PIP_ARGS) -c constraints.txt

.PHONY: demo test lint types docs clean
.DELETE_ON_ERROR:

demo: .venv/.installed
	$(BIN)/spikeinterface-gen demo

test: .venv/.installed
	# Networks in tests are small: a second thread slows them.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed
	$(BIN)/mypy

docs: .venv/.installed
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

clean:
	rm -rf build dist docs/_build docs/generated demo_output *.egg-info .mypy_cache .pytest_cache .ruff_cache

.venv/.installed: setup.py pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	# torch first, pinned: whatever else asks for it then takes this one.
	$(PIP) torch==2.13.0
	$(PIP) -e ".[docs,nwb,sorters,test]"
	touch $@
