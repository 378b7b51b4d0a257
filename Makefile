# Two commands: `make corpus` builds the sample corpus into ./corpus, `make test` runs every check.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
JOB ?= examples/instruct_s2s.yaml
OUTPUT ?= corpus
ARGS ?=
# Extras of pyproject.toml beside the core, such as EXTRAS=[s3,llm]: the image sets it.
EXTRAS ?=

.PHONY: corpus test setup lint clean
corpus: $(VENV)/.core
	$(BIN)/voxmill build $(JOB) --output $(OUTPUT) $(ARGS)

test: lint
	$(BIN)/pytest -q -n 2 --dist loadscope --no-loadscope-reorder

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@echo "format, lint, types and import contracts hold"

setup: $(VENV)/.core

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "voxmill needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet -c constraints.txt -e '.$(EXTRAS)'
	@# Not fatal here: the build itself stops with the cure if a voice needs flite.
	$(BIN)/python -m jobs.install_flite || true
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(PIP) install --quiet -c constraints.txt -e '.[dev,train]'
	@touch $@

clean:
	rm -rf $(VENV) corpus build *.egg-info
