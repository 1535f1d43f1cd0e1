# Every target makes .venv by itself when it is missing or older than the pins.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: install demo cluster-demo test chaos test-fast check lint clean

install: $(READY)

# torch first: with the pinned CPU build in place nothing pulls in the CUDA one.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/fireact demo

# A cluster of three nodes on this machine that scales itself, wants a token and loses a node in the middle of a run.
cluster-demo: $(READY)
	$(BIN)/python examples/cluster_demo.py

# What needs no Ray goes first, then the rest, which waits enough for three processes. Each process has its Ray.
test: $(READY)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not ray and not e2e" --durations=10
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder -m "ray or e2e" --durations=15

# What `make test` does in small counts: properties of many more examples, and faults of every kind.
chaos: $(READY)
	FIREACT_HYPOTHESIS=full $(BIN)/python -m pytest --numprocesses 2 -m "not ray and not torch and not e2e"
	FIREACT_CHAOS=full $(BIN)/python -m pytest tests/chaos -rP --durations=0

test-fast: $(READY)
	FIREACT_HYPOTHESIS=fast $(BIN)/python -m pytest --numprocesses 2 -m "not ray and not torch and not e2e and not slow"

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lint: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) runs build dist *.egg-info
