# Every command that people and CI use. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
CRD := infertune.io_inferencetunings.yaml
PYTEST := $(BIN)/python -m pytest
ALONE := not real_api and not e2e and not gpu
# Tests that start processes and wait for them: they run beside the others, which compute.
PROCESSES := tests/probes tests/demo_server tests/devcluster
# The demo: CONTEXT=name runs it on an existing cluster; REGISTRY= or LOADER= brings the images there.
export CONTEXT REGISTRY LOADER

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(READY) ## Make .venv from the hashed lock, with the project in it

$(READY): requirements/dev.txt requirements/uv.txt pyproject.toml
	@PYTHON="$(PYTHON)" requirements/install.sh
	@touch $@

.PHONY: demo
demo: $(READY) ## Run the whole demo: a real node, a model server, a tuning that is applied
	@PYTHONPATH=examples $(BIN)/python -m demo up

.PHONY: demo-down
demo-down: $(READY) ## Take the demo down and leave nothing behind
	@PYTHONPATH=examples $(BIN)/python -m demo down

.PHONY: bench-idle
bench-idle: $(READY) ## Measure the operator's CPU and memory beside 100 stable tunings, 20 minutes
	@PYTHONPATH=examples $(BIN)/python -m bench.idle

.PHONY: generate
generate: $(READY) ## Write the CRD, its copy in the chart, and the generated docs
	$(BIN)/python -m infertune.cli crd --output crds/$(CRD) charts/infertune/crds/$(CRD)
	$(BIN)/python -m infertune.cli reference --output docs/reference.md
	$(BIN)/python -m infertune.cli states --output docs/state-machine.md
	$(BIN)/python -m infertune_probes.catalogue --output docs/probes.md
	$(BIN)/python -m infertune_probes.contract schema --output docs/probe-result.schema.json

.PHONY: check
check: $(READY) ## Format, lint, types, layers and contract tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy operator probes devcluster examples bench
	PYTHONPATH=operator:probes $(BIN)/lint-imports
	$(PYTEST) -q tests/contract -m "$(ALONE)"

.PHONY: test-unit
test-unit: $(READY) ## What needs neither root nor a cluster, some minutes: both halves at once
	@$(MAKE) --no-print-directory -j2 --output-sync=target unit-pure unit-processes

.PHONY: unit-pure
unit-pure: $(READY) ## Half of test-unit: what computes
	$(PYTEST) -q -m "$(ALONE)" $(PROCESSES:%=--ignore=%)

.PHONY: unit-processes
unit-processes: $(READY) ## Half of test-unit: what starts processes and waits for them
	$(PYTEST) -q -m "$(ALONE)" $(PROCESSES)

.PHONY: test-api
test-api: $(READY) ## What asks a real API server; starts one without a node, needs no root
	@$(BIN)/python -m devcluster control-plane -- true
	$(PYTEST) -q -m real_api

.PHONY: coverage
coverage: $(READY) ## The same, with the gate: 95 % of the branches of core and api
	@$(MAKE) --no-print-directory -j2 --output-sync=target unit-coverage unit-processes

.PHONY: unit-coverage
unit-coverage: $(READY) ## Half of coverage: what computes, with the gate
	$(PYTEST) -q -m "$(ALONE)" $(PROCESSES:%=--ignore=%) --cov --cov-branch --cov-fail-under=95

.PHONY: scenarios
scenarios: $(READY) ## Every story with every kill and every fault at each of its points, and every mutant
	INFERTUNE_EVERY_POINT=1 $(PYTEST) -q tests/scenario -m "$(ALONE)"

.PHONY: test
test: check coverage ## What CI runs, some 17 minutes: check, unit, real API server and node
	.ci/with-cluster $(PYTEST) -m "(real_api or ci) and not gpu" -ra --durations=10

.PHONY: test-full
test-full: check coverage scenarios ## Everything, with every end-to-end test
	INFERTUNE_EVERY_POINT=1 .ci/with-cluster $(PYTEST) -m "real_api or e2e or gpu or torch" -ra --durations=20

.PHONY: verify
verify: generate check ## Generate, check, and assert that the tree is clean
	@if [[ -n "$$(git status --porcelain)" ]]; then git status --short; git diff --stat; \
	  echo "verify: the tree is not clean: commit what is listed above"; exit 1; fi
	@echo "verify: generated files are current, the tree is clean"

.PHONY: lock
lock: $(READY) ## Write the lock files anew from pyproject.toml
	UV=$(BIN)/uv PYTHON=$(BIN)/python requirements/compile.sh

.PHONY: clean
clean: ## Remove caches and build output; .venv stays
	rm -rf build dist reports .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find operator probes devcluster examples tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
