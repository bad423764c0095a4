# `make help` lists the targets. PYTHON: the distribution's interpreter is 20-30 % faster than a plain build.
PYTHON ?= $(if $(wildcard /usr/bin/python3),/usr/bin/python3,python3)
LISTEN ?= 127.0.0.1:8480
SHARDS ?= 4
DATA ?= ./data
PLAIN ?= 127.0.0.1:8480
ADDRESS := $(if $(filter 127.% localhost:% [::1]:%,$(LISTEN)),--listen $(LISTEN),--listen '$(PLAIN)' --listen-tls $(LISTEN))
VENV := .venv
BIN := $(VENV)/bin
NODE := $(and $(shell command -v node 2>/dev/null),$(shell command -v npm 2>/dev/null))
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

TARGET ?= all
RUNS ?= 100000

.PHONY: help run test adversity fuzz check lock wheels format profile clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/'

run: $(VENV)/.installed ## start a server: SHARDS=4, DATA=./data, LISTEN=127.0.0.1:8480 (0.0.0.0:8443 for the network, with TLS, and without at PLAIN=127.0.0.1:8480; PLAIN= for TLS alone), open registration
	$(BIN)/lanying-cluster start --shards $(SHARDS) --data $(DATA) $(ADDRESS) --open-registration

test: $(VENV)/.test $(if $(NODE),tests/compat/node_modules/.installed tests/web/node_modules/.installed) ## run the whole test suite
	$(BIN)/python -m pytest -rfEs --durations=15 -n 2 --dist loadscope

check: $(VENV)/.test ## lint, format, types and the contracts of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

adversity: $(VENV)/.test ## every fault in its long form: half an hour
	$(BIN)/python -m pytest -rfEs -m "slow or not slow" tests/adversity tests/cluster/test_crash.py tests/cluster/test_hostile_users.py tests/cluster/test_move.py

fuzz: $(VENV)/.test ## inputs nobody would send, for long: TARGET=all RUNS=100000 (for each); by coverage with ARGS=--guided and one TARGET
	$(BIN)/python -m tests.fuzz $(TARGET) --runs $(RUNS) $(ARGS)

lock: $(VENV)/.made ## write requirements/server.lock anew: every dependency with its hashes, for all versions of Python and machines
	@$(PIP) uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --extra s3 --upgrade \
		-o requirements/server.lock pyproject.toml

wheels: $(VENV)/.test ## dist/: a wheel for every machine, and one for this kind of machine with the path of a message compiled (gcc, python3-dev)
	@$(PIP) "mypy[mypyc]" hatchling setuptools
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	LANYING_COMPILED=1 $(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls -l dist

format: $(VENV)/.test ## rewrite the sources in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

profile: $(VENV)/.test ## where the time of a message goes: a table by step and a flame graph (flame.svg), from a run under load; needs root or ptrace_scope 0
	$(BIN)/lanying-bench profile --rate max --output flame.svg

clean: ## remove what make has made, not the data
	rm -rf $(VENV) tests/compat/node_modules tests/web/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11: give another one, make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "no virtual environment could be made: apt install python3-venv"; exit 1; }
	@touch $@

$(VENV)/.installed: pyproject.toml | $(VENV)/.made
	$(PIP) -e .
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.made
	$(PIP) -e '.[test,bench]'
	@touch $(VENV)/.installed $@

tests/compat/node_modules/.installed: tests/compat/package.json tests/compat/package-lock.json
	cd tests/compat && npm ci --no-audit --no-fund --silent
	@touch $@

tests/web/node_modules/.installed: tests/web/package.json tests/web/package-lock.json
	cd tests/web && npm ci --no-audit --no-fund --silent
	@touch $@
