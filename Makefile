# Everything is made inside this folder: .venv (the environment), demo/ (what the demo makes) and .venv-peers (packages
# that the speed benchmark measures beside ours).
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PEERS := .venv-peers
DEMO := demo
RUN := $(DEMO)/run
.DELETE_ON_ERROR:
.PHONY: help setup demo test lint format clean bench-audit bench-class-frame bench-psl bench-psla bench-speed bench-speed-scale bench-staged

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv, with everything the demo and the tests need

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Earmark needs Python 3.11 or newer; found $$($(PYTHON) --version). Try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@echo "setting up .venv (a minute or two) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,report,imagenet,tensorboard,media]'
	@touch $@

demo: setup ## train on the bundled ESC-10, evaluate, tag, and make a page (about 3 minutes)
	@$(BIN)/earmark import data/esc10 -o $(DEMO)/esc10
	@$(BIN)/earmark train baseline $(DEMO)/esc10 -o $(RUN) --test-fold 5 --validation-fold 4 --resume
	@$(BIN)/earmark evaluate $(RUN) $(DEMO)/esc10 --split test
	@$(BIN)/earmark tag $(RUN) data/esc10/*/5-20[0-3]*-A.ogg --top-k 2
	@$(BIN)/earmark report $(RUN)

test: setup ## run all tests
	@$(BIN)/python -m pytest -q -n 2

lint: setup ## ruff (lint and format) and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup ## let ruff format and mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench-class-frame: setup ## class-frame pseudo labels on soundscapes of two kinds (an hour; SCALE=smoke: seconds)
	@$(BIN)/python -m benchmarks.class_frame $(ARGS)

bench-psl: setup ## PSL on soundscapes with planted truth (an hour; SCALE=smoke: seconds; OFFICE11=PATH: that set too)
	@$(BIN)/python -m benchmarks.psl $(ARGS)

bench-psla: setup ## PSLA on data with planted truth (an hour; SCALE=smoke: seconds)
	@$(BIN)/python -m benchmarks.psla $(ARGS)

bench-audit: setup ## the label audit on data with planted errors (half an hour; SCALE=smoke: seconds; CLEANLAB=1: beside it)
	@$(BIN)/python -m benchmarks.audit $(ARGS)

bench-speed: setup $(PEERS)/.ready ## speed beside peers, in an environment of their own (an hour; ARGS="--rows NAME": minutes)
	@$(BIN)/python -m benchmarks.speed --peers $(PEERS)/bin/python $(ARGS)

bench-speed-scale: setup ## how time and memory grow with the number of clips (ten minutes)
	@$(BIN)/python -m benchmarks.speed.scale $(ARGS)

$(PEERS)/.ready: benchmarks/speed/peers/requirements.txt constraints.txt
	@echo "setting up $(PEERS) ..."
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -r $<
	@$(PEERS)/bin/python -m pip install -q --disable-pip-version-check "setuptools<81"  # what sed_eval imports left it then
	@touch $@

bench-staged: setup ## staged training on data with planted wrong labels (an hour; SCALE=smoke: seconds)
	@$(BIN)/python -m benchmarks.staged $(ARGS)

clean: ## remove what the demo made and all caches (not .venv)
	rm -rf $(DEMO) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
