# Everything a developer runs. `make` alone lists the targets; what a target needs is made by `setup`, once.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# The first interpreter that is new enough and really starts (a version manager's stub may not).
# Another one: make setup PYTHON=/path/to/python3
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$name" && break; \
	done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## Make .venv with the locked dependencies and this checkout (once)
	@$(BIN)/python native/install.py

$(STAMP): requirements.lock pyproject.toml
	@[[ -n "$(PYTHON)" ]] || { echo "make: Python 3.11 or newer is needed: install it, or name it with PYTHON=" >&2; exit 1; }
	@[[ -x $(BIN)/python ]] || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $(STAMP)

# The program runs without it, so `setup` only tries; this says what is wrong, and fails.
.PHONY: native
native: $(STAMP) ## Build and install the native library (needs cargo 1.85 or newer)
	@$(BIN)/python native/install.py --must

.PHONY: wheels
wheels: $(STAMP) ## Build the wheels of the program and of its native library into dist/
	@$(BIN)/python native/install.py --wheel dist
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

.PHONY: demo
demo: setup ## Show the worker at work on made-up traffic, without Kafka or Docker
	@$(BIN)/sessionizer demo

.PHONY: live
live: setup ## Show your own clicks as sessions: broker, collector, worker and a page, in one process
	@$(BIN)/sessionizer demo --web

# Cargo's own checks run where setup could build the native library, and cargo has the tools.
if_native = if $(BIN)/python native/install.py --check $(1); then
CARGO = cd native && cargo

# Each has a broker of its own, half a gigabyte; on two cores three are best, since many tests wait.
PROCESSES ?= 3
.PHONY: test
test: setup ## Run all tests, also those that need a real broker (ARGS="-m 'not broker'" leaves them out)
	@$(if $(ARGS),,$(call if_native) $(CARGO) test --quiet; fi)
	@$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile $(ARGS)

.PHONY: fuzz
fuzz: setup native ## Compare both readings of changed values (VALUES=10000000 FROM=0, the first seed)
	@$(BIN)/python -m tests.native.fuzz --values $(or $(VALUES),10000000) --from $(or $(FROM),0) $(ARGS)

.PHONY: lint
lint: setup ## Check style and formatting, of the Rust code where cargo is
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(call if_native,fmt clippy) $(CARGO) fmt --check && cargo clippy --quiet --workspace --all-targets -- --deny warnings; fi

.PHONY: types
types: setup ## Check types, strictly
	@$(BIN)/mypy

.PHONY: docs
docs: setup ## Write the generated pages again
	@$(BIN)/python docs/generate_log_events.py
	@$(BIN)/python -m docs.generate_tour
	@$(BIN)/python -m docs.generate_openapi

.PHONY: simulate
simulate: setup ## Try workers on a simulated Kafka: SEEDS=100000 histories FROM=0, or the one of SEED=17
	@$(if $(SEED),SESSIONIZER_TEST_SEED=$(SEED),SESSIONIZER_TEST_SEEDS=$(or $(SEEDS),2000)) \
		SESSIONIZER_TEST_FIRST_SEED=$(or $(FROM),0) \
		$(BIN)/python -m pytest tests/simulation/test_protocol.py --timeout=0 -q -k whatever_strikes $(ARGS)

.PHONY: chaos
chaos: setup ## Inject faults into workers, brokers and their network, then check every promise (DURATION=600 SEED=1)
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1) $(if $(DURATION),--duration $(DURATION)) \
		$(if $(WORKERS),--workers $(WORKERS)) $(if $(PARTITIONS),--partitions $(PARTITIONS)) \
		$(if $(EVENTS_PER_SECOND),--events-per-second $(EVENTS_PER_SECOND)) $(ARGS)

.PHONY: chaos-collect
chaos-collect: setup ## Inject faults into the HTTPS API and its brokers, then account for each event (DURATION=1200 SEED=1)
	@$(BIN)/python -m tests.chaos.collect --seed $(or $(SEED),1) $(if $(DURATION),--duration $(DURATION)) $(ARGS)

.PHONY: fast
fast: setup ## Check that the worker has not become slower beside a fixed yardstick (10 seconds)
	@$(BIN)/python -m bench.speed_check

.PHONY: bench
bench: setup ## Measure the cost of an event beside its yardsticks (about 15 minutes; docs/performance.md)
	@$(BIN)/python -m bench.suite $(ARGS)

# One lock to develop with and two, of the same versions, for the image: what runs in it and what builds it.
# Versions that still satisfy pyproject.toml stay; `make lock UPGRADE=--upgrade` takes the newest. The
# compiler lives in a throw-away environment, so that it pins itself nowhere.
COMPILE = pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	--no-emit-options --allow-unsafe --strip-extras --no-header

.PHONY: lock
lock: ## Resolve the dependencies again into the three requirements locks
	@directory=$$(mktemp -d); trap 'rm -rf "$$directory"' EXIT; \
	$(PYTHON) -m venv "$$directory"; \
	"$$directory/bin/python" -m pip install --quiet --disable-pip-version-check 'pip-tools>=7.5,<8'; \
	"$$directory/bin/"$(COMPILE) $(UPGRADE) --extra collect --extra demo --extra dev -o requirements.lock pyproject.toml; \
	"$$directory/bin/"$(COMPILE) --extra collect --extra demo --constraint requirements.lock --no-annotate -o requirements-run.lock pyproject.toml; \
	MATURIN_NO_INSTALL_RUST=1 "$$directory/bin/"$(COMPILE) --build-deps-for wheel --only-build-deps --constraint requirements.lock --no-annotate -o requirements-build.lock pyproject.toml native/python/pyproject.toml
