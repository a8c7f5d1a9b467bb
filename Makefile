# `make repro` and `make test` each set everything up first; neither needs the other.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: repro study test lint setup

repro: setup
	$(BIN)/diffaug check
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dvc repro
	@echo
	@$(BIN)/diffaug verdict

study: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/diffaug study

test: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed, found ' + sys.version.split()[0] + '; set PYTHON=/path/to/python3.11')"
	$(PYTHON) -m venv .venv
	@echo "Installing the packages of requirements.lock: about 8 GB, some minutes"
	$(BIN)/python -m pip install --quiet --quiet --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --quiet --no-deps --no-build-isolation -e .
	@touch $@
