# What one can do here. `make` alone prints this index.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
PYTHON ?= python3
SERIN := target/release/serin
REPLICATIONS ?= 2000
MODELS := models/model_v1.bin models/model_v2.bin
SHELL_SCRIPTS = .ci/run $(wildcard scripts/*.sh)

.PHONY: help setup build run demo test check bench calibrate fmt lint scripts-syntax models docs reference clean

help: ## Print this index
	@echo "serin: a model server with a built-in canary"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: build models ## Train the two models if they are missing, then serve on 127.0.0.1:8000
	$(SERIN) serve

demo: build ## Live through six canaries, narrated, in under a minute: slow, healthy, failing, climbing, slow in one region, silently wrong
	$(SERIN) demo

test: setup ## Install what the tests need if it is missing, then run them all
	$(CARGO) test --locked

check: setup ## What CI runs: format, lints, tests, documentation, shell scripts
	$(CARGO) fmt --all -- --check
	$(MAKE) lint
	$(MAKE) scripts-syntax
	$(CARGO) test --locked
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps
	@echo "check: all is well"

bench: ## Measure the predict path, /predict beside a bare handler, a judgement beside scipy's, and whole rollouts
	@$(MAKE) .venv/ready || echo "bench: the Python environment cannot be had; scipy's side is skipped"
	$(CARGO) bench --locked --bench predict --bench http --bench judge --bench rollout

calibrate: ## Simulate healthy and harmful canaries by the thousand: false rollbacks, detection (REPLICATIONS=2000)
	@$(CARGO) bench --locked --bench calibrate -- --replications $(REPLICATIONS)

fmt: ## Format the Rust code
	$(CARGO) fmt --all

lint: ## Clippy over every target; a warning is an error
	$(CARGO) clippy --locked --all-targets -- -D warnings

models: $(MODELS) ## Train models/model_v1.bin and model_v2.bin if one is missing

docs: ## Build the crate documentation: target/doc/serin/index.html
	$(CARGO) doc --locked --no-deps

reference: .venv/ready ## Write the reference values in tests/reference again, with scipy
	.venv/bin/python scripts/reference_values.py
	.venv/bin/python scripts/reference_bets.py

setup: ## Install what the tests need, only where it is missing
	@scripts/setup.sh

clean: ## Remove what was built and the Python environment; trained models stay
	$(CARGO) clean
	rm -rf .venv

# Below here stand the steps the targets above share.

build:
	$(CARGO) build --locked --release

# Both files come from one command. `&:` (one recipe, two files) needs make 4.3; this does not.
$(MODELS): | build
	@if [[ ! -f models/model_v1.bin || ! -f models/model_v2.bin ]]; then $(SERIN) train; fi

scripts-syntax:
	@for script in $(SHELL_SCRIPTS); do bash -n "$$script"; done
	@if command -v shellcheck >/dev/null; then shellcheck --external-sources --severity=warning $(SHELL_SCRIPTS); \
	  else echo "shellcheck is not installed: the scripts' syntax was checked, their style was not"; fi

.venv/ready: scripts/reference_requirements.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --requirement scripts/reference_requirements.txt
	@touch $@
