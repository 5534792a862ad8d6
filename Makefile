# `make demo` and `make test` do all set-up themselves: Python 3.11 or newer and make are enough.
# Everything goes into .venv; nothing is installed again until pyproject.toml changes.

VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# What the demo needs is a small part of what the tests need.
SMALL  := $(VENV)/.installed-cli
# The first interpreter that really starts and is new enough: a name on PATH may be an empty shim.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	"$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	>/dev/null 2>&1 && echo "$$name" && break; done)
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench clean

help:
	@echo "make demo   real-looking chats through masker run, side by side with what is stored"
	@echo "make test   ruff, mypy, the layers, every test"
	@echo "make lint   only ruff, mypy and the layers"
	@echo "make bench  speed beside peers, memory, false alarms (sets up peers first)"
	@echo "make clean  removes .venv, caches and built files"

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "masker needs Python 3.11 or newer (with venv) on PATH" >&2; exit 1; }
	@echo "setting up $(VENV)" >&2; "$(PYTHON)" -m venv $(VENV)

$(STAMP): pyproject.toml | $(VENV)/bin/python
	@$(PIP) install --editable '.[dev]'
	@touch $@ $(SMALL)

$(SMALL): pyproject.toml | $(VENV)/bin/python
	@$(PIP) install --editable '.[cli,store]'
	@touch $@

demo: $(SMALL)
	@$(BIN)/python examples/demo.py

lint: $(STAMP)
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "run ruff format" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >$(VENV)/layers.log 2>&1 || { cat $(VENV)/layers.log >&2; exit 1; }
	@echo "lint: ruff, mypy --strict and the layers are clean"

test: lint
	@$(BIN)/python -m pytest --quiet

bench: $(STAMP)
	@benchmarks/setup.sh peers
	@$(BIN)/python benchmarks/speed.py
	@$(BIN)/python benchmarks/memory.py
	@$(BIN)/python benchmarks/false_alarms.py
	@$(BIN)/python benchmarks/planted.py
	@$(BIN)/python benchmarks/rules_check.py
	@$(BIN)/python benchmarks/store.py

clean:
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
