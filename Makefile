# Anxin (安心充). `make help` lists the doors.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
NODE_MAJOR := $(shell node --version 2>/dev/null | sed 's/^v//; s/\..*//')
HAS_NODE := $(shell [ "$(NODE_MAJOR)" -ge 20 ] 2>/dev/null && echo yes)
PAGE := miniprogram/dist/.built
AUDIO ?=

# One run each: what the first found is kept while the second goes on.
SOAKS := tests/flows/test_money_machine.py tests/house/test_drill.py \
  tests/flows/test_hold_machine.py tests/flows/test_family_machine.py

.PHONY: help run test check bench face-eval soak page model browser clean

help:  ## List the doors
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(BIN)/.runtime page model  ## Install, start everything, perform the main job, serve (ONCE=1 ends after it)
	@$(BIN)/python -m app.cli.house $(if $(ONCE),--once) $(if $(AUDIO),--audio "$(AUDIO)")

test: $(BIN)/.dev page model browser  ## Install what is needed and run every test
	@$(if $(HAS_NODE),cd miniprogram && npm test,:)
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

check: $(BIN)/.dev  ## Lint, types, architecture, migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(BIN)/.dev model  ## Measure performance as ratios; results and plots in bench/results/
	@$(BIN)/python -m bench $(ARGS)

face-eval: $(BIN)/.dev  ## Who a face check refuses and takes, and what it costs; results in bench/results/face/
	@$(BIN)/python -m bench.face $(ARGS)

soak: $(BIN)/.dev  ## Shuffle and kill for long (about an hour); figures in bench/results/soak.json
	@failed=0; for part in $(SOAKS); do SOAK=1 $(BIN)/python -m pytest $$part $(ARGS) || failed=1; done; exit $$failed

page: $(if $(HAS_NODE),$(PAGE))  ## Build the page and the WeChat package (Node 20+)
	@$(if $(HAS_NODE),:,echo "No Node 20+ here: the page is not built, the API works without it.")

model: $(BIN)/.runtime  ## Assemble the speech model into voice_models/
	@$(BIN)/flask --app wsgi voice-models install whisper-base

browser:  ## Put Chromium and a Chinese font on the machine when root (for the browser tests)
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fonts-noto-cjk >/dev/null; } \
	  || echo "No Chromium here: the browser tests will be listed as not run."

clean:  ## Remove what was built (not var/, not the models)
	rm -rf .venv miniprogram/node_modules miniprogram/dist bench/results .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "Python 3.11 is needed; $(PYTHON) is another (make PYTHON=/path/to/python3.11)"; exit 1; }
	$(PYTHON) -m venv .venv

$(BIN)/.runtime: requirements.txt $(wildcard packaging/*/pyproject.toml) | $(BIN)/python
	$(PIP) install -r requirements.txt
	@touch $@

$(BIN)/.dev: requirements-dev.txt $(BIN)/.runtime
	$(PIP) install -r requirements-dev.txt
	@touch $@

$(PAGE): miniprogram/package-lock.json $(shell find miniprogram/src -type f 2>/dev/null) miniprogram/vite.config.ts
	cd miniprogram && npm ci --no-audit --no-fund && npm run build
	@touch $@
