# Two commands do everything, set-up included: make labs, make test. (make help lists the others.)
# .venv is made once, and again only when what it must hold has changed.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
INSTALLED := .venv/.installed
BOOK_TOOLS := .venv/.book
# pip -q would keep to itself why packages do not fit together; without it, all is said, so it goes to a file.
INSTALL := $(PYTHON) -m pip install --disable-pip-version-check --progress-bar off -c constraints.txt
OR_SAY_WHY = > .venv/install.log 2>&1 || { tail -n 25 .venv/install.log >&2; \
	echo "make: installing failed: pip's reason stands above, all that it said in .venv/install.log" >&2; exit 1; }
NBVAL := $(PYTHON) -m pytest --nbval notebooks --nbval-sanitize-with tests/nbval_sanitize.cfg -n 2 --dist loadscope
# One process a core is faster than torch's threads for models this small, and two of both would fight.
UNIT := OMP_NUM_THREADS=1 $(PYTHON) -m pytest tests -q -n 2 --dist loadscope -p no:nbval

.PHONY: help labs lint test test-all bench data experiments real jupyter book book-learner clean

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile

labs: $(INSTALLED) ## execute the whole course headlessly (tiny profile) into runs/tiny
	.venv/bin/labs run --profile tiny --output-dir runs/tiny

test: $(INSTALLED) lint ## ruff, import-linter, the unit tests, then every notebook against its stored outputs
	$(UNIT) -m "not slow and not browser"
	$(NBVAL)

test-all: $(INSTALLED) $(BOOK_TOOLS) lint ## what make test does, with the slow and the special tests
	$(UNIT)
	$(NBVAL)

lint: $(INSTALLED)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	.venv/bin/lint-imports --no-cache

bench: $(INSTALLED) ## how long a PPO step takes
	$(PYTHON) tests/benchmarks/ppo_speed.py

data: $(INSTALLED) ## make everything in data/ again: texts, models, adapters (some minutes)
	$(PYTHON) -m data.generator

experiments: $(INSTALLED) ## carry out the plans in data/experiments/ again, and write their tables (hours)
	$(PYTHON) -m data.generator.experiments

real: $(INSTALLED) ## 01, 03, 04, 05 with real pretrained weights, then docs/real_weights.md (an hour; DIALOGUES=FILE)
	$(PYTHON) -m data.generator.real_weights $(if $(DIALOGUES),--dialogues "$(DIALOGUES)")

jupyter: $(INSTALLED) ## open the notebooks in JupyterLab
	.venv/bin/jupyter lab notebooks

book: $(BOOK_TOOLS) ## build the course as a website, with the stored outputs, into build/book/html
	$(PYTHON) -m sphinx -q -W --keep-going -c docs -d build/book/doctrees . build/book/html
	@echo "open build/book/html/index.html"

book-learner: $(BOOK_TOOLS) ## the same without solutions, into build/book-learner/html
	$(PYTHON) -m sphinx -q -W --keep-going -c docs -t learner -d build/book-learner/doctrees . build/book-learner/html
	@echo "open build/book-learner/html/index.html"

clean: ## remove the environment, everything that runs have written, and caches
	rm -rf .venv runs build dist *.egg-info .pytest_cache .ruff_cache .hypothesis

$(INSTALLED): pyproject.toml constraints.txt setup.py
	@set -e; found=; for python in python3.11 python3 python; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "make: this needs Python 3.11 or newer, as python3.11 or python3 on the PATH; found: $$(python3 --version 2>&1)" >&2; \
	  exit 1; \
	fi; \
	echo "making .venv with $$("$$found" --version) (once; some minutes)"; \
	"$$found" -m venv .venv
	@$(INSTALL) -e '.[course,test]' $(OR_SAY_WHY)
	@touch $(INSTALLED)

# What only the book needs, so that the other commands need not wait for it.
$(BOOK_TOOLS): $(INSTALLED)
	@$(INSTALL) -e '.[book]' $(OR_SAY_WHY)
	@touch $(BOOK_TOOLS)
