# Everything runs in .venv of this checkout, installed from requirements.lock (pinned, with hashes).
#
#   make setup   once; instant the second time
#   make demo    a small company's database, collected and read
#   make test    every test, on real PostgreSQL and MariaDB too
#   make lint    formatting, lint, types, layers
#   make docs    the site of docs/, in build/site
#   make soak    the long tests, in docs/soak.json; make soak PART=right one part of them (tests/parts.py)
#   make bench   the benchmarks, in JSON
#   make lock    the newest versions that pyproject.toml admits, pinned anew
#   make clean   all of the above undone

PYTHON  ?= python3
WORKERS ?= 2
VENV    := .venv
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check --no-input
# --no-build-isolation: a build of its own would fetch build tools that no hash vouches for.
EDITABLE := $(PIP) install -qq --no-deps --no-build-isolation --editable
EMULATORS := packages/emulators

# Tests start hundreds of processes: each should find its modules compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo servers test lint lint-ruff lint-format lint-types lint-layers format docs soak bench lock clean

setup: $(VENV)/.ready

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Tallybook needs Python 3.11 or newer: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: requirements.lock pyproject.toml $(EMULATORS)/pyproject.toml | $(BIN)/python
	@echo 'installing what requirements.lock pins into $(VENV): a minute, the first time'
	@$(PIP) install -qq --require-hashes --requirement requirements.lock
	@$(EDITABLE) . --editable ./$(EMULATORS)
	@touch $(VENV)/.ready-for-demo $@

# What the demo needs: no linters, no test tools, no data frames, no emulators.
$(VENV)/.ready-for-demo: requirements-demo.lock pyproject.toml | $(BIN)/python
	@echo 'installing what requirements-demo.lock pins into $(VENV): half a minute, the first time'
	@$(PIP) install -qq --require-hashes --requirement requirements-demo.lock
	@$(EDITABLE) .
	@touch $@

demo: $(VENV)/.ready-for-demo
	$(BIN)/python -m tallybook.demo demo

servers: setup
	$(BIN)/python -m tests.servers install

test: setup servers
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

# `make -k lint` says everything that is wrong, not only what the first of them finds.
lint: lint-ruff lint-format lint-types lint-layers

lint-ruff: setup
	$(BIN)/ruff check .

lint-format: setup
	$(BIN)/ruff format --check .

lint-types: setup
	$(BIN)/mypy

lint-layers: setup
	$(BIN)/lint-imports --no-logo
	cd $(EMULATORS)/src && $(CURDIR)/$(BIN)/lint-imports --no-logo --no-cache --config ../pyproject.toml

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Each part writes its own entry of docs/soak.json. Soak tests outlast `faulthandler_timeout`; a stack printed while a test
# runs can end its process.
PARTS := $(if $(PART),$(PART),right kills events deliver scale mutants)
soak: setup servers
	@failed=; for part in $(PARTS); do \
		TALLYBOOK_SOAK=1 $(BIN)/python -m pytest -o faulthandler_timeout=0 -n $(WORKERS) --dist worksteal --part $$part $(ARGS) \
			|| failed="$$failed $$part"; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

bench: setup servers
	$(BIN)/python -m benchmarks.run $(ARGS)

# The demo's pins are those of the whole lock, so that `make demo` and `make test` share one .venv.
COMPILE = build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock"
lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet uv
	$(COMPILE) pyproject.toml $(EMULATORS)/pyproject.toml --upgrade --extra dev --output-file requirements.lock
	$(COMPILE) pyproject.toml --group demo --constraints requirements.lock --output-file requirements-demo.lock
	cd tests/clients/node && npm install --package-lock-only --ignore-scripts --no-audit --no-fund --omit-lockfile-registry-resolved
	for one in tests/clients/*/requirements.in; do $(COMPILE) $$one --upgrade --output-file $${one%.in}.lock || exit 1; done

clean:
	rm -rf $(VENV) build dist demo .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src packages tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
