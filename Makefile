# make help lists the targets. PYTHON: the distribution's interpreter is 20-30 % faster than a plain build.
PYTHON ?= $(if $(wildcard /usr/bin/python3),/usr/bin/python3,python3)
LISTEN ?= 127.0.0.1:8480
SHARDS ?= 4
DATA ?= ./data
VENV := .venv
BIN := $(VENV)/bin
NODE := $(shell command -v npm 2>/dev/null)

.PHONY: help run test check format clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/'

run: $(VENV)/.installed ## start a server on DATA with SHARDS shards, open registration, at LISTEN
	$(BIN)/lanying-cluster start --shards $(SHARDS) --data $(DATA) --listen $(LISTEN) --open-registration

test: $(VENV)/.test $(if $(NODE),tests/compat/node_modules/.installed) ## run the whole test suite
	$(BIN)/python -m pytest

check: $(VENV)/.test ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.test ## rewrite the sources in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what make has made, not the data
	rm -rf $(VENV) tests/compat/node_modules .mypy_cache .ruff_cache .pytest_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,bench]'
	touch $@ $(VENV)/.installed

tests/compat/node_modules/.installed: tests/compat/package.json
	cd tests/compat && npm install --no-audit --no-fund --silent
	touch $@
