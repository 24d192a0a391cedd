# `make scan` audits this machine, `make test` runs everything, `make demo` shows the whole on a real node.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help
help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# The environment is made anew whenever pyproject.toml changes.
$(VENV)/ready: pyproject.toml auditor/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "sockaudit: Python 3.11 or newer is needed; name it with make PYTHON=/path/to/python3" >&2; exit 2; }
	@echo "making $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/pip install --quiet --editable . --group dev
	@touch $@

.PHONY: scan
scan: $(VENV)/ready ## audit this machine
	@$(BIN)/sockaudit scan

.PHONY: lint
lint: $(VENV)/ready ## style, types, the import contract
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: test
test: lint ## everything
	$(BIN)/pytest
