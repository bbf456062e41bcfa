# The workshop. `make` alone lists the targets; each does its own set-up.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup system check format test test-all test-full bench demo wheel lock clean readme kernels

PY := .venv/bin/python
STAMP := .venv/.installed
# Those with linli alone or beside packages of the lock; `servers` also needs PostGIS, SedonaDB and DuckDB.
BENCHMARKS := nearest feasible basket rare serving single updates load memory growth http feed orders bookings slots start
CODE := engine geo service fixtures benchmarks tools tests
export PYTHONHASHSEED ?= 0

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | column -t -s "$$(printf '\t')"

setup: $(STAMP) ## Lay out .venv from requirements.lock (seconds when nothing changed)

$(STAMP): requirements.lock pyproject.toml tools/setup.sh
	@tools/setup.sh
	@touch $@

system: ## Install browser, fonts, strace and prlimit, where this machine lets us
	@tools/system.sh

check: $(STAMP) ## Format, lint, types, import contracts, and our own lints
	.venv/bin/ruff format --check $(CODE)
	.venv/bin/ruff check $(CODE)
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	$(PY) -m tools.lints

format: $(STAMP) ## Write what `check` asks for, as far as a tool can
	.venv/bin/ruff format $(CODE)
	.venv/bin/ruff check --fix $(CODE)

kernels: $(STAMP)
	@$(PY) -m service.kernels

test: export LINLI_TEST_ONCE := 1
test: $(STAMP) ## Each test but faults and benchmarks, on one database where it could run on two: 12 minutes
	@tools/tests.sh

test-all: $(STAMP) ## All tests on both databases, with faults, and interpreted with their coverage: what .ci/run runs
	@tools/tests.sh

test-full: export LINLI_TEST_FULL := 1
test-full: test-all ## The same with every count whole (`make test-all` runs a tenth)

bench: $(STAMP) kernels ## Run one benchmark: make bench NAME=nearest [ARGS="--rows 1000000"]
	$(PY) -m benchmarks $(or $(NAME),--help) $(ARGS)

readme: $(STAMP) kernels ## Measure README's table anew and write it there
	mkdir -p build docs/benchmarks
	for name in $(BENCHMARKS); do \
		sweep=$$([ $$name != nearest ] || echo --sweep); \
		$(PY) -m benchmarks $$name $$sweep --json > build/$$name.json || exit 1; \
		mv build/$$name.json docs/benchmarks/$$name.json; \
	done
	$(PY) -m benchmarks.results

demo: $(STAMP) ## A day of orders in a real piece of a city, and its map (demo.html)
	.venv/bin/linli demo $(ARGS)

wheel: $(STAMP) ## Build the wheel into dist/
	$(PY) -m hatchling build -t wheel

lock: $(STAMP) ## Resolve pyproject.toml anew into requirements.lock
	.venv/bin/uv pip compile pyproject.toml --group dev --group bench --universal --python-version 3.11 \
	    --fork-strategy fewest --only-binary :all: --generate-hashes --no-header --no-annotate --no-emit-index-url \
	    --quiet --output-file requirements.lock $(ARGS)

clean: ## Remove what the targets made, .venv too
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .import_linter_cache
