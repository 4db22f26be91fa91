# Two commands do everything on a fresh machine with Python 3.11+, pip and make:
#   make demo    creates the environment and takes a Transformer the whole way
#   make test    installs what the tests need and passes them
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCE ?= transformer

.PHONY: demo test test-fast test-webgpu test-qnn test-openvino test-cuda-errors test-devices \
	test-node test-browser test-native lint format bench coverage-table constraints clean

demo: $(VENV)/.installed
	$(BIN)/edgekit run $(SOURCE) --force
	$(BIN)/edgekit infer artifacts/$(SOURCE)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest

# Without TensorFlow and without the package index: the suite to run after each edit.
test-fast: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "not keras and not wheel"

# On a real provider each, in an environment of its own: their wheels exclude one another.
test-webgpu: .venv-webgpu/.installed
	eval "$$(tests/devices/vulkan.sh)" && .venv-webgpu/bin/python -m pytest tests/devices -m webgpu

# In Qualcomm's simulator of a Snapdragon NPU; its package has a licence of Qualcomm's own.
test-qnn: .venv-qnn/.installed
	.venv-qnn/bin/python -m pytest tests/devices -m qnn

test-openvino: .venv-openvino/.installed
	.venv-openvino/bin/python -m pytest tests/devices -m openvino

# The wheel alone, 250 MB: CUDA's libraries are 2.5 GB more, and must be missing here.
test-cuda-errors: .venv-cuda/.installed
	.venv-cuda/bin/python -m pytest tests/devices -m cuda

test-devices: test-webgpu test-qnn test-openvino

# What `edgekit embed` writes, on its platform: Node.js 20 or later, and Chromium for the page.
test-node: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/embedder -m node

test-browser: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/embedder -m browser

# gcc, CMake, valgrind, gcc-aarch64-linux-gnu, qemu-user, a JDK, npm and junit4 are the system's.
test-native: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/embedder -m native

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/runner_overhead.py
	$(BIN)/python benchmarks/runner_startup.py
	$(BIN)/python benchmarks/runner_pool.py
	$(BIN)/python benchmarks/reference_models.py

# Proves every case of the exporter, and writes docs/coverage.md: layer, mode, operators, error.
coverage-table: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/coverage_table.py

# constraints.txt is the set that these versions were last proven with.
constraints: $(VENV)/.installed-dev
	$(BIN)/pip freeze --exclude-editable | grep -v '^pip==' > constraints.txt

clean:
	rm -rf $(VENV) .venv-webgpu .venv-qnn .venv-openvino .venv-cuda build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv-%/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --constraint constraints.txt \
		--editable '.[$*,device-test]'
	touch $@

.venv-cuda/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-cuda
	.venv-cuda/bin/python -m pip install --quiet --constraint constraints.txt \
		onnxruntime-gpu --editable '.[device-test]'
	touch $@

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	touch $@
