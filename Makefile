# Every target makes its own environment first; `make PYTHON=/path/to/python3.12 env` chooses the interpreter.
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -q

.PHONY: env compile demo check lint format docs test corpus bench lock wheel clean

env: .venv/made

.venv/made: requirements-dev.lock bin/jettison scripts/environment.sh
	PYTHON="$(PYTHON)" scripts/environment.sh

compile: env  # so that a start does not compile, also where PYTHONDONTWRITEBYTECODE is set
	@$(BIN)/python -m compileall -q src
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c "from jettison.closure.rules import rules; rules()"

demo: compile
	demo/run.sh $(BIN)/jettison

check: lint compile  # the one door; under a minute
	$(PYTEST) -n auto -m "not slow and not peer"

lint: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: env
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: env  # the reference, from the code
	$(BIN)/python docs/generate.py

test: compile  # all of it; what this machine has no tool for is skipped, or fails with JETTISON_REQUIRE_PEERS=1
	$(PYTEST) -n auto

corpus: compile  # a hundred programs of Debian, each used; as root, after `python -m corpus all --install`
	PYTHONPATH=tests $(BIN)/python -m corpus all --shares

bench: compile
	$(BIN)/python -m bench.run

lock:
	scripts/lock.sh

wheel: env
	$(BIN)/python -m hatchling build -t wheel

clean:
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
