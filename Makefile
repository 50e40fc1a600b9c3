# Every job of this project; CI runs these and nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build run test check e2e sim prove fuzz bench bench-core bench-budget bench-scale bench-peers soak envoy docker clean
# A registry that stumbles once is asked again.
export CARGO_NET_RETRY ?= 5
export SEED SEEDS

export CONFIG ?= envoy/gateway.yaml
DATA ?= .tollgate
TIME ?= 60

help: ## List the targets
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target what; do printf '  make %-12s %s\n' "$$target" "$$what"; done

setup: ## Fetch what the others need: wasm target, Envoys, SDKs, nextest (in .tools; PostgreSQL by apt)
	@scripts/setup-wasm
	@scripts/setup-envoy --all >/dev/null
	@scripts/setup-sdks
	@scripts/setup-nextest
	@scripts/setup-postgres

build: ## Build the tollgate program and the filter, and print the filter's size
	@scripts/build

run: build ## Start everything on loopback, without any key (CONFIG=file, DATA=folder, ENVOY_VERSION=1.38.2)
	@scripts/run "$(CONFIG)" "$(DATA)"

test: setup build ## Run every check and every test, also against real Envoys
	@scripts/check
	@scripts/test

check: ## Check format, lints, dependencies, scripts and the house rules
	@scripts/setup-wasm
	@scripts/check
	@scripts/test --package tollgate-tests --test tidy

e2e: setup build ## Run only the tests against real Envoys
	@scripts/test --package tollgate-tests

fuzz: ## Attack every reader with mutated input for a while (TIME=60, in seconds); what breaks one is kept as a test
	@scripts/fuzz "$(TIME)"

sim: ## Run the simulator of money: SEEDS=100000 histories, or the one of SEED=17
	@cargo test --profile native --package tollgate-tests --test money_simulator no_history -- --nocapture

prove: build ## Prove that money is safe: kill -9 of Envoy, budget service and PostgreSQL, never over (ROUNDS=20)
	@ROUNDS=$${ROUNDS:-20} scripts/test --package tollgate-tests --test money crashes:: never_over::

bench: build ## Compare the gateway with a bare Envoy: requests/s and CPU per request (ROUNDS, SECONDS_EACH, ONLY=scenario)
	@scripts/bench

bench-core: ## Time the core and the tokenizer alone, without Envoy
	@cargo bench --package tollgate-core --bench core
	@cargo bench --package tollgate-tokens --bench tokens

bench-scale: build ## Measure 10,000 keys, 1,000 models and 50 providers, and 2,000 streams at once (STREAMS)
	@scripts/bench bench_scale

bench-peers: build ## Compare with LiteLLM and Portkey on the same work
	@scripts/setup-peers
	@scripts/bench bench_peers

soak: build ## Send a million requests and print the slope of the memory (REQUESTS)
	@scripts/bench bench_soak

bench-budget: ## Measure the store on SQLite and PostgreSQL: records/s, commits, grants, recovery at a million records
	@scripts/bench-budget

envoy: build ## Regenerate envoy/envoy.yaml from envoy/gateway.yaml
	@scripts/render-example

docker: ## Build and start the containers of envoy/docker-compose.yaml
	@scripts/docker

clean: ## Remove what was built; what was fetched stays in .tools
	@cargo clean
