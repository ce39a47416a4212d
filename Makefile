# setup: everything into .venv, peers that results are compared with too; demo: the guided main job; test, check: what CI
# runs; bench: side by side with peers; wild: networks of other packages against their own modules.
# oldest, newest: the tests on the oldest versions that are promised, and on the newest there are.
# Another interpreter: make PYTHON=python3.12 demo

PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PINS := pyproject.toml constraints.txt

.PHONY: setup demo test check bench wild oldest newest
.DELETE_ON_ERROR:

setup: $(VENV)/.dev

# Waiting threads sleep: where another program is busy, threads that spin made the training four times slower.
demo: $(VENV)/.demo
	OMP_WAIT_POLICY=PASSIVE $(BIN)/featmap demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS)

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python tests/support/house.py

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

wild: $(VENV)/.wild
	FEATMAP_WHOLE_ZOO=1 $(BIN)/python -m pytest -n $(WORKERS) tests/parity/test_zoo.py
	PYTHONPATH=src:tests $(BIN)/python -m wild

oldest: .venv-oldest/.dev
	.venv-oldest/bin/python -m pytest -n $(WORKERS)

newest: .venv-newest/.dev
	.venv-newest/bin/python -m pytest -n $(WORKERS)

# A stamp is written after the work, so that what was interrupted is done again; .dev and the like say that the extras of
# their name are installed as the pins of that date ask for.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("$(PYTHON) is Python " + sys.version.split()[0] + ", featmap needs 3.11 or newer. Name another: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.demo: $(PINS) | $(VENV)/.made
	@echo "Installing featmap with what the demo needs into $(VENV); this takes a minute or more."
	$(INSTALL) -e ".[demo]"
	touch $@

$(VENV)/.dev: $(PINS) | $(VENV)/.made
	@echo "Installing featmap with everything its tests need into $(VENV); this takes a minute or more."
	$(INSTALL) -e ".[dev]"
	touch $@ $(VENV)/.demo

$(VENV)/.wild: $(PINS) | $(VENV)/.dev
	$(INSTALL) -e ".[wild]"
	touch $@

.venv-oldest/.dev: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv --clear .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-oldest.txt -e ".[dev]"
	touch $@

.venv-newest/.dev: pyproject.toml
	$(PYTHON) -m venv --clear .venv-newest
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@
