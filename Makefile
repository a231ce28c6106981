# The index of all tasks. `make` alone prints it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
PYTHON ?= python3
SERIN := target/release/serin
REPLICATIONS ?= 2000
# The tests are built with it, too. The lints are of the usual build, which must compile without it.
WITH_TRACES := --features otlp
MODELS := models/model_v1.bin models/model_v2.bin
SHELL_SCRIPTS = .ci/run $(wildcard scripts/*.sh)

.PHONY: help setup build run demo test check bench bench-train bench-models parity protocols monitoring manifests openapi browser fleet screenshots calibrate fmt lint scripts-syntax models docs reference clean test-python wheel dist

help: ## Print this index
	@echo "serin: a model server with a built-in canary"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: build models ## Train the two models if they are missing, then serve on 127.0.0.1:8000
	@echo "Next, in a second terminal:"
	@echo "  $(SERIN) deploy models/model_v2.bin"
	@echo "  $(SERIN) load"
	@echo "  $(SERIN) status --watch"
	@echo "README.md shows the same with curl. http://127.0.0.1:8000/ shows it in a browser. Ctrl-C stops the server."
	$(SERIN) serve

demo: build ## Run seven narrated rollouts in under a minute: slow, healthy, failing, ramping up, slow in one region, silently wrong, useless
	$(SERIN) demo

test: setup .venv/ready .venv-clients/ready ## Install what the tests need, then run them all
	$(CARGO) test --locked $(WITH_TRACES)
	.venv/bin/python scripts/parity --serin target/debug/serin
	.venv/bin/python scripts/docs_commands.py --serin target/debug/serin
	.venv/bin/python scripts/protocols --serin target/debug/serin
	.venv/bin/python scripts/monitoring.py --serin target/debug/serin
	.venv/bin/python scripts/openapi.py --serin target/debug/serin --examples 3
	.venv/bin/python scripts/gates.py --serin target/debug/serin
	.venv/bin/python scripts/manifests --serin target/debug/serin
	.venv/bin/python scripts/browser --serin target/debug/serin
	scripts/fleet.sh --serin target/debug/serin --check
	$(MAKE) test-python
	scripts/dist.sh target/debug/serin target/dist-of-tests

check: setup ## What CI runs: format, lints, tests, documentation, shell scripts
	$(CARGO) fmt --all -- --check
	$(MAKE) lint
	$(MAKE) scripts-syntax
	$(MAKE) test
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps
	@echo "check: passed"

bench: ## Measure the predict path, HTTP overhead, the judge (with scipy for comparison) and whole rollouts
	@$(MAKE) .venv/ready || echo "bench: no Python environment; the comparison with scipy is skipped"
	$(CARGO) bench --locked --bench predict --bench http --bench judge --bench rollout
	$(CARGO) bench --locked --bench http -- --page
	@[[ ! -e .venv/ready ]] || .venv/bin/python scripts/browser --serin $(SERIN) --first-paint

bench-train: build .venv/ready ## Compare training on a million rows with pandas and scikit-learn: CPU time and peak memory
	.venv/bin/python scripts/bench_training.py $(SERIN)

bench-models: build .venv/ready ## Time imported models beside their originals and onnxruntime: loading, one row, batches
	.venv/bin/python scripts/bench_models.py

test-python: .venv/ready ## Check the Python package, and install its wheel into an empty environment
	$(CARGO) build --locked $(WITH_TRACES) --bin serin
	.venv/bin/ruff check --quiet python
	.venv/bin/ruff format --quiet --check python
	.venv/bin/mypy
	SERIN_BINARY=$(CURDIR)/target/debug/serin .venv/bin/python -m pytest --quiet
	rm -rf target/wheel-of-tests
	.venv/bin/maturin build --quiet --locked $(WITH_TRACES) --profile dev --out target/wheel-of-tests
	scripts/try_wheel.sh target/wheel-of-tests/*.whl

monitoring: build .venv/ready ## Let a real Prometheus scrape a promotion and a rollback, and check rules and dashboard
	.venv/bin/python scripts/monitoring.py --serin $(SERIN)

manifests: build .venv/ready ## Check what deploy/ has for Kubernetes: kustomize, helm, KServe, without a cluster
	.venv/bin/python scripts/manifests --serin $(SERIN)

openapi: build .venv/ready ## Test every route with requests generated from the OpenAPI document
	.venv/bin/python scripts/openapi.py --serin $(SERIN) --examples 100

browser: build setup .venv/ready ## Open the page of a real server in Chromium: every state, both themes, phone to desk
	.venv/bin/python scripts/browser --serin $(SERIN)

screenshots: build setup .venv/ready ## Take pictures of every state of the page: target/screenshots, and those of the docs
	.venv/bin/python scripts/browser --serin $(SERIN) --pictures target/screenshots
	cp target/screenshots/docs/*.png docs/images/

fleet: build setup ## Run three replicas on PostgreSQL behind nginx, and check what holds while they are killed and cut off
	scripts/fleet.sh --serin $(SERIN) --check --evidence --rolling --rollback-latency 200 --faults --times 5

parity: build .venv/ready ## Import models of other libraries, and compare every answer with the original's
	.venv/bin/python scripts/parity --serin $(SERIN)

protocols: build .venv/ready .venv-clients/ready ## Compare what clients of KServe, Triton, MLServer and MLflow get with /predict
	.venv/bin/python scripts/protocols --serin $(SERIN)

wheel: .venv/ready ## Build the Python wheel with the binary: dist/serin-*.whl
	rm -f dist/serin-*.whl
	.venv/bin/maturin build --locked --release --out dist

dist: build ## Pack the stripped binary with checksum, shell completions and man pages: dist/serin-*.tar.gz
	rm -f dist/*.tar.gz
	scripts/dist.sh $(SERIN) dist

calibrate: ## Simulate thousands of rollouts: false rollbacks, detection time (REPLICATIONS=2000)
	@$(CARGO) bench --locked --bench calibrate -- --replications $(REPLICATIONS)

fmt: ## Format the Rust code
	$(CARGO) fmt --all

lint: ## Run clippy on every target, with warnings as errors
	$(CARGO) clippy --locked --all-targets -- -D warnings

models: $(MODELS) ## Train models/model_v1.bin and model_v2.bin if missing

docs: ## Build the crate documentation: target/doc/serin/index.html
	$(CARGO) doc --locked --no-deps

reference: .venv/ready ## Regenerate the reference values in tests/reference with scipy and scikit-learn
	.venv/bin/python scripts/reference_values.py
	.venv/bin/python scripts/reference_bets.py
	.venv/bin/python scripts/reference_training.py

setup: ## Install what the tests need
	@scripts/setup.sh

clean: ## Remove build output and the Python environment; keep trained models
	$(CARGO) clean
	rm -rf .venv .venv-clients

# Steps shared by the targets above.

build:
	$(CARGO) build --locked --release

# Both files come from one command. `&:` (one recipe, two files) needs make 4.3; this does not.
$(MODELS): | build
	@if [[ ! -f models/model_v1.bin || ! -f models/model_v2.bin ]]; then $(SERIN) train; fi

scripts-syntax:
	@for script in $(SHELL_SCRIPTS); do bash -n "$$script"; done
	@if command -v shellcheck >/dev/null; then shellcheck --external-sources --severity=warning $(SHELL_SCRIPTS); \
	  else echo "shellcheck is not installed: the scripts' syntax was checked, their style was not"; fi

.venv/ready: scripts/requirements.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --requirement scripts/requirements.txt
	@touch $@

# A folder for each, because KServe's client and MLServer want other versions of the same packages.
.venv-clients/ready: scripts/protocols/requirements-kserve.txt scripts/protocols/requirements-mlserver.txt
	for client in kserve mlserver; do \
	  $(PYTHON) -m venv .venv-clients/$$client; \
	  .venv-clients/$$client/bin/pip install --quiet --requirement scripts/protocols/requirements-$$client.txt; \
	done
	@touch $@
