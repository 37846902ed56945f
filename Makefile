# `make` lists what there is. Everything is installed into .venv here, from Pipfile.lock; nothing outside is changed,
# save that root on a Debian without python3.11-venv gets that package.

PYTHON ?= python3.11
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
EVERYTHING = packages train dev-packages spark
# A file's tests stay together: each core makes the models that its tests share once.
PYTEST = $(PY) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# Stamps: what stands in .venv, as of which Pipfile.lock. The service starts without waiting for the training libraries.
SERVING = .venv/.serving
ALL = .venv/.everything
DOCS = .venv/.docs

.DEFAULT_GOAL := help
.PHONY: help install run test check format train bench load docs scan lock clean
.DELETE_ON_ERROR:

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

install: $(ALL) ## everything into .venv: serving, training, development, Spark

run: $(SERVING) ## the service with its demo data on 127.0.0.1:9696, open to whoever sits at this machine
	@echo "Fairmeter starts at http://127.0.0.1:9696 (Ctrl-C stops it)."
	@echo "That is the dashboard; http://127.0.0.1:9696/docs are the routes, and README.md has a curl that scores a client."
	@echo "The first time, the desk's demo clients are there some 25 s later."
	@OPEN=1 $(PY) -m flask --app predict demo & OPEN=1 $(PY) -m gunicorn --bind 127.0.0.1:9696 predict:app

test: $(ALL) ## the tests
	$(PYTEST)

check: $(ALL) ## format, lint, tests
	$(PY) -m ruff format --check
	$(PY) -m ruff check
	$(PYTEST)

format: $(ALL) ## put the code into its format
	$(PY) -m ruff format
	$(PY) -m ruff check --fix

train: $(ALL) ## model.bin and report/ from data/archive.zip, or from the sample; more: make train ARGS="--quick"
	$(PY) train.py $(ARGS)

bench: $(ALL) ## the table of speed and memory
	$(PY) -m benchmarks.speed.bench

load: $(ALL) ## the service under load, beside bare Flask; a quarter of an hour, or make load ARGS="--seconds 2 --minutes 2"
	$(PY) -m benchmarks.load.load $(ARGS)

docs: $(DOCS) ## the documentation as a searchable site, in site/
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet
	@echo "Look at it: $(PY) -m http.server 8000 --directory site"

scan: $(ALL) ## what is known against our code (bandit), the image (hadolint), the packages in .venv (pip-audit, asks PyPI)
	.venv/bin/hadolint Dockerfile
	$(PY) -m bandit --quiet --configfile pyproject.toml --recursive fairmeter benchmarks $(wildcard *.py)
	@$(PY) -m pip_audit --local --strict --progress-spinner off || { \
	  echo "The packages were not audited, or one is known to be vulnerable: see above. pip-audit asks pypi.org/pypi for" \
	    "what is known, which a mirror of packages alone does not answer." >&2; exit 1; }

lock: $(TOOL) ## remake Pipfile.lock, naming no package index
	$(MAKE_VENV)
	$(PIPENV) lock --categories "$(EVERYTHING) docs"
	$(NO_INDEX) .pipenv/bin/python -c "$$UNNAME_INDEX"
	$(NO_INDEX) $(PIPENV) verify

clean: ## remove .venv, .pipenv and caches
	rm -rf .venv .pipenv .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(TOOL):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
	  echo "$(PYTHON) is not Python 3.11, which Fairmeter needs. Install it (apt install python3.11 python3.11-venv)," \
	    "or say where it is: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(HAS_VENV) 2>/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3.11-venv; }
	@$(HAS_VENV) 2>/dev/null || { \
	  echo "$(PYTHON) comes without venv. Install it: sudo apt install python3.11-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear .pipenv
	.pipenv/bin/python -m pip install --quiet --disable-pip-version-check pipenv==$(PIPENV_VERSION)
	@touch $@

HAS_VENV = $(PYTHON) -c 'from ensurepip import version; import venv'

# A .venv of another Python, or one whose Python is gone, is made anew.
MAKE_VENV = @$(PY) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || \
	.pipenv/bin/python -m virtualenv --quiet --clear .venv

$(SERVING): Pipfile.lock $(TOOL)
	$(MAKE_VENV)
	@echo "Installing what the service needs into .venv: once, about 180 MB."
	$(PIPENV) sync --categories packages
	@touch $@

$(ALL): Pipfile.lock $(TOOL)
	$(MAKE_VENV)
	@echo "Installing everything into .venv: once, about 3.5 GB."
	$(PIPENV) sync --categories "$(EVERYTHING)"
	@touch $(SERVING) $@

$(DOCS): Pipfile.lock $(TOOL)
	$(MAKE_VENV)
	@echo "Installing mkdocs-material into .venv: once, about 40 MB."
	$(PIPENV) sync --categories docs
	@touch $@

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
