# Two commands are all a newcomer needs: `make run` and `make test`. `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
SOURCES := libs services gateway tests protos bootstrap.py

.PHONY: help
help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.PHONY: run
run: setup ## Set up what is missing and run the whole product; Ctrl-C ends it
	@exec $(BIN)/pq up

.PHONY: setup
setup: ## Make the environment that the product runs in
	@$(PYTHON) bootstrap.py

.PHONY: setup-dev
setup-dev: ## Make the environment that tests and checks run in
	@$(PYTHON) bootstrap.py --dev

.PHONY: test
test: setup-dev ## Run the whole suite; reports go to build/reports
	@$(BIN)/python -m pytest tests --junitxml=build/reports/junit.xml --cov --cov-report=xml:build/reports/coverage.xml --cov-report=

.PHONY: unit
unit: setup-dev ## Run the tests that need no server
	@$(BIN)/python -m pytest tests/unit tests/arch tests/property -q

.PHONY: check
check: setup-dev ## Lint, types, import rules, contracts, migrations
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python protos/generate.py --if-changed
	@$(BIN)/buf lint build/protos/pq/descriptors.binpb --config buf.yaml
	@$(BIN)/python protos/breaking.py
	@$(BIN)/python -m libs.db.check

.PHONY: fix
fix: setup-dev ## Format, and mend what the linter can mend
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

.PHONY: bench
bench: setup-dev ## Measure; NAME=delivery runs one family, SCALE=1,4,16 prints the curve
	@$(BIN)/python -m tests.bench $(if $(NAME),--name $(NAME)) $(if $(SCALE),--scale $(SCALE))

.PHONY: protos
protos: setup-dev ## Generate Python from the contracts
	@$(BIN)/python protos/generate.py

.PHONY: lock
lock: setup-dev ## Resolve the requirements anew into the two lock files
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header -q -o requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --extra dev -c requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q -o requirements-dev.lock

.PHONY: clean
clean: ## Remove the environment and what was built; .pq, with the data, stays
	@rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
