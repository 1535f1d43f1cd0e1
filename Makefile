# Every target makes .venv by itself when it is missing or older than the pins.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Where torch's CPU build is: a tenth of PyPI's, which is for CUDA. Empty: PyPI's, for a machine with GPUs.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PIP_TORCH := install --quiet --disable-pip-version-check --no-deps $(addprefix --extra-index-url ,$(TORCH_INDEX))
VLLM := .venv-vllm
VLLM_READY := $(VLLM)/.ready

.PHONY: install demo cluster-demo test test-vllm chaos test-fast check lint clean

install: $(READY)

# torch first: with its CPU build in place nothing pulls in the one for CUDA.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip $(PIP_TORCH) --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/fireact demo

# A cluster of three nodes on this machine that scales itself, wants a token and loses a node in the middle of a run.
cluster-demo: $(READY)
	$(BIN)/python examples/cluster_demo.py

# What needs no Ray goes first, then the rest. Both wait enough for three processes; each of the rest has its Ray.
test: $(READY)
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile -m "not ray and not e2e" --durations=10
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder -m "ray or e2e" --durations=15

# vLLM on this CPU, in an environment of its own, into which the package is not installed but read from here. vLLM's build
# for CPUs pins an older transformers than the torch engine needs, and works with that one, too; torchvision, torchaudio
# and torchcodec break beside torch's CPU build; and vLLM looks for a distribution by its name, which this build has not.
$(VLLM_READY): constraints-vllm.txt
	test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/pip $(PIP_TORCH) "$$(grep '^torch==' constraints-vllm.txt)"
	$(VLLM)/bin/pip install --quiet --disable-pip-version-check --requirement constraints-vllm.txt
	$(VLLM)/bin/pip install --quiet --disable-pip-version-check --no-deps transformers==5.23.0
	$(VLLM)/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	named="$$(echo $(VLLM)/lib/python3*/site-packages)/vllm-0.32.0+cpu.dist-info"; mkdir -p "$$named" && \
	printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' > "$$named/METADATA" && touch "$$named/RECORD"
	touch $(VLLM_READY)

test-vllm: $(VLLM_READY)
	PYTHONPATH=$(CURDIR) $(VLLM)/bin/python -m pytest -m vllm --durations=10

# What `make test` does in small counts: properties of many more examples, and faults of every kind.
chaos: $(READY)
	FIREACT_HYPOTHESIS=full $(BIN)/python -m pytest --numprocesses 2 -m "not ray and not torch and not e2e"
	FIREACT_CHAOS=full $(BIN)/python -m pytest tests/chaos -rP --durations=0

test-fast: $(READY)
	FIREACT_HYPOTHESIS=fast $(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "not ray and not torch and not e2e and not slow"

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lint: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(VLLM) runs build dist *.egg-info
