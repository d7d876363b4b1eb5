# What a person types. Needs git, make and Python >= 3.11; everything else is installed into .venv and .yijian.
BIN := .venv/bin
MEMBERS := $(patsubst %/pyproject.toml,%,$(wildcard $(addsuffix /pyproject.toml, \
	libs/* services/* departments/* witness cli deploy/embedded examples bench chaos)))

.DEFAULT_GOAL := help
.PHONY: help install up down status demo test test-faults test-ledger lint typecheck contracts bench chaos lock clean FORCE

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

install: .venv/installed ## Install everything into .venv (the other targets do it by themselves)
	@:

# A copy of the folder brings a .venv that belongs to the original: the stamp says whose it is.
ifneq ($(shell cat .venv/installed 2>/dev/null),$(CURDIR))
.venv/installed: FORCE
endif
.venv/installed: requirements.lock $(addsuffix /pyproject.toml,$(MEMBERS)) deploy/install.sh
	@sh deploy/install.sh $(MEMBERS)

up: install ## Start Kafka, Postgres, the services and the departments' programs
	@$(BIN)/yijian up

down: install ## Stop all of it
	@$(BIN)/yijian down

status: install ## Show what runs and where
	@$(BIN)/yijian status

demo: install ## Watch one birth application go through seven departments
	@$(BIN)/yijian demo

test: install ## Run all but the long tests, on a real Kafka and a real Postgres
	@$(BIN)/pytest

test-faults: install ## Kill, cut off and restart things for some hours: what make test only samples
	@$(BIN)/pytest -m slow

test-ledger: install ## Attack, kill and hammer the ledger for many minutes: what make test only samples
	@$(BIN)/pytest -s -m ledger tests/ledger

lint: install ## Check style, format and who may import whom
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@if grep -q '^\[tool.importlinter\]' pyproject.toml; then $(BIN)/lint-imports; fi

typecheck: install ## Check types
	@$(BIN)/mypy $(MEMBERS)

contracts: install ## Write anew what is generated from the code: docs/events.md, docs/contracts
	@$(BIN)/python -m yijian_contracts.generate docs
	@$(BIN)/python -m approval.openapi docs/contracts/openapi/approval.json
	@$(BIN)/python -m identity.openapi docs/contracts/openapi/identity.json
	@$(BIN)/python -m data_exchange.openapi docs/contracts/openapi/data-exchange.json
	@$(BIN)/python -m rating.openapi docs/contracts/openapi/rating.json

bench: install ## Measure the whole pipeline on this machine
	@$(BIN)/yijian bench

chaos: install ## Attack a platform under load for ten minutes, and judge what became of it
	@$(BIN)/yijian chaos

lock: install ## Resolve anew what is pinned: Python packages and jars
	@$(BIN)/uv lock
	@$(BIN)/uv export --no-emit-workspace --no-header --all-groups --frozen --quiet > requirements.lock.new
	@mv requirements.lock.new requirements.lock
	@$(BIN)/python -m yijian_embedded.jars lock

clean: ## Stop everything; remove the data and what tools left behind
	@if [ -x $(BIN)/yijian ]; then $(BIN)/yijian clean --yes; fi
	@rm -rf .yijian .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis .schemathesis
