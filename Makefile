# Every job of this project; CI runs these and nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build run test check e2e bench bench-budget envoy docker clean
# A registry that stumbles once is asked again.
export CARGO_NET_RETRY ?= 5

export CONFIG ?= envoy/gateway.yaml
DATA ?= .tollgate

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

bench: build ## Compare the gateway with a bare Envoy: requests/s and CPU per request (CONFIG, ROUNDS, SECONDS_EACH)
	@scripts/bench

bench-budget: ## Measure the store on SQLite and PostgreSQL: records/s, commits, recovery at a million records
	@scripts/bench-budget

envoy: build ## Regenerate envoy/envoy.yaml from envoy/gateway.yaml
	@scripts/render-example

docker: ## Build and start the containers of envoy/docker-compose.yaml
	@scripts/docker

clean: ## Remove what was built; what was fetched stays in .tools
	@cargo clean
