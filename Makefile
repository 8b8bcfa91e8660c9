# Needs Python 3.11 or later and make. Everything is installed into .venv, nothing elsewhere.
# PYTHON=python3.12 names the interpreter that creates .venv; delete .venv to change it later.

VENV := .venv
RUN := $(VENV)/bin/python -m
TWO_AT_A_TIME := --numprocesses 2 --dist loadfile  # tests of a file share what they set up
PIP := $(RUN) pip --quiet --disable-pip-version-check
IS_NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'

ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python $(IS_NEW_ENOUGH) 2>/dev/null && echo $$python && break; done)
endif
ifeq ($(PYTHON),)
PYTHON := python3
endif

.NOTPARALLEL:
.PHONY: help demo test check clean

help:  ## list the targets
	@echo "make demo shows what quietcell does; make test proves that it works here."
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

demo: $(VENV)/.runtime  ## install, replay the bundled sample, write report/report.html
	@$(VENV)/bin/quietcell replay --out report

test: $(VENV)/.dev  ## install, run all tests, then the kernel tests without the JIT
	$(RUN) pytest $(TWO_AT_A_TIME)
	NUMBA_DISABLE_JIT=1 $(RUN) pytest -m kernel $(TWO_AT_A_TIME)

check:  ## everything that CI checks
	@.ci/run

clean:  ## remove reports, caches and built files; .venv stays
	rm -rf report out dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache $(VENV)/numba
	find . -path ./$(VENV) -prune -o -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) $(IS_NEW_ENOUGH) || { \
		echo "quietcell needs Python 3.11 or later; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Name another one, such as: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
		echo "$(VENV) could not be created; install the venv package of $(PYTHON) (on Debian python3-venv)." >&2; exit 1; }

INSTALL_FAILED = { echo "The installation failed; the lines above say why. It needs a package index." >&2; exit 1; }

$(VENV)/.runtime: pyproject.toml | $(VENV)/bin/python
	@echo "installing quietcell into $(VENV): about a minute, once"
	@$(PIP) install --editable . || $(INSTALL_FAILED)
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@echo "installing quietcell and its test tools into $(VENV): about a minute, once"
	@$(PIP) install --editable '.[dev]' || $(INSTALL_FAILED)
	@touch $(VENV)/.runtime $@
