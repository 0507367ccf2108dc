# The commands of a working day. `make` alone lists them. Everything goes into .venv and a cache outside the repository.

.DEFAULT_GOAL := help
.PHONY: help demo test check collected servers bench truth sim stack-up stack-down stack-status constraints clean
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt
SEEDS ?= 10000
ARGS ?=
export PYTHON
# Where images forbid it, each of the hundreds of programs that tests start would compile all of trueup anew.
export PYTHONDONTWRITEBYTECODE :=

help: ## list these commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## see trueup find, prove and repair drift on embedded servers; needs Python 3.11+ and nothing else
	@$(BIN)/trueup demo $(ARGS)

# Two at a time and a third aside (tests/fixtures/aside.py), but for the tests that measure time or load a server: those
# have the machine to themselves.
PYTEST := TRUEUP_REQUIRE_SERVERS=1 $(BIN)/python -m pytest
SOME := || [ $$? -eq 5 ] # no test was chosen, which is none of the failures
SLOW = $(shell grep -rl --include='test_*.py' 'mark\.slow' tests)

test: $(VENV)/.test ## install what is missing, check the code, run every test on real servers
	@$(MAKE) --no-print-directory -j 3 servers check collected
	$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder -m 'not slow' $(ARGS) $(SOME)
	$(PYTEST) -m slow $(or $(ARGS),$(SLOW)) $(SOME)

# What each worker would compile at the same time is compiled once, beside the downloads. The tests themselves tell of
# what cannot be collected.
collected: $(VENV)/.test
	@$(PYTEST) --collect-only -q $(ARGS) >/dev/null 2>&1 || :

check: $(VENV)/.test ## style, types and import contracts, without tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

servers: $(VENV)/.test ## install and download the servers that the tests run against (apt-get as root, Maven)
	@sh tests/stack/servers.sh
	@PYTHONPATH=tests $(BIN)/python -m stack.download

bench: $(VENV)/.bench servers ## measure speed, memory and time to detect; writes the tables
	PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

truth: $(VENV)/.test servers ## verdicts held against the facts on real servers, 200,000 keys per method and follower; writes the table
	PYTHONPATH=tests $(BIN)/python -m bench truth $(ARGS)

sim: $(VENV)/.test ## the simulation with many seeds: make sim SEEDS=10000
	$(BIN)/python -m pytest tests/simulation --seeds $(SEEDS) $(ARGS)

stack-up: $(VENV)/.test servers ## start PostgreSQL, MariaDB, MySQL, Kafka with Debezium and a schema registry, each with a shop, and leave them running
	@PYTHONPATH=tests $(BIN)/python -m stack up

stack-down: $(VENV)/.test ## stop and remove them
	@PYTHONPATH=tests $(BIN)/python -m stack down

stack-status: $(VENV)/.test ## say where they listen and whether they run
	@PYTHONPATH=tests $(BIN)/python -m stack status

constraints: ## pin what a fresh installation resolves to today: rewrites constraints.txt
	@sh tests/stack/python.sh $(VENV)-fresh
	$(VENV)-fresh/bin/python -m pip --disable-pip-version-check install -q -e '.[all,test,bench]'
	{ sed -n '/^#/p' constraints.txt; $(VENV)-fresh/bin/python -m pip freeze --exclude-editable | grep -v ' @ '; } > constraints.new
	mv constraints.new constraints.txt
	rm -rf $(VENV)-fresh

clean: ## remove the virtual environment and the tools' caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@echo "make: creating $(VENV)" >&2
	@sh tests/stack/python.sh $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "make: installing trueup with its demo" >&2
	@$(PIP) -e '.[demo]'
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "make: installing trueup with everything for the tests" >&2
	@$(PIP) -e '.[all,test]'
	@touch $@ $(VENV)/.demo

$(VENV)/.bench: $(VENV)/.test
	@echo "make: installing the benchmark's rivals" >&2
	@$(PIP) -e '.[all,test,bench]'
	@touch $@
