# Two commands on a fresh machine: `make demo` and `make test`. Each sets up what it needs, once.
# `make test` has one short case of each kind of crash. `make drill` has the long ones (about half an hour): run it, too,
# whenever raygp/cluster/ or raygp/store/ has changed.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SITE := build/site
PYTEST := $(BIN)/python -m pytest --durations=10

.PHONY: demo test drill lint docs clean

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	  || { echo "raygp needs Python 3.11 as '$(PYTHON)'; say PYTHON=/path/to/python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,docs,export,huggingface,optuna,otel,plots,report,s3,serve,servers,speech,tensorboard,text,timm]'
	touch $@

demo: $(STAMP)
	$(BIN)/python jobs/imagenet_incremental.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

# The site, from docs/ and the docstrings; a link that leads nowhere is an error. Takes some 20 s of one CPU.
docs: $(STAMP)
	$(BIN)/python -m sphinx --fresh-env --fail-on-warning --keep-going -q -b html -c docs . $(SITE)
	@echo "open $(SITE)/index.html"

# Those without Ray fill two CPUs. Those on Ray come after them: they have time limits, and side by side with the others
# some were missed. The pages' examples have a cluster of their own, in a folder of its own.
test: $(STAMP)
	@$(MAKE) --no-print-directory lint; lint=$$?; \
	$(MAKE) --no-print-directory docs; site=$$?; \
	$(PYTEST) -m 'not cluster and not drill' -n 2 --dist loadfile; others=$$?; \
	$(PYTEST) -m 'cluster and not drill' --ignore tests/docs -p no:cacheprovider; ray=$$?; \
	RAY_TMPDIR=$$(mktemp -d /tmp/raygp-XXXX) $(PYTEST) -m cluster tests/docs -p no:cacheprovider; pages=$$?; \
	echo "exit codes: lint $$lint, site $$site, tests $$others, with Ray $$ray, pages $$pages"; \
	test "$$lint$$site$$others$$ray$$pages" = 00000

drill: $(STAMP)
	$(PYTEST) -m drill

clean:
	rm -rf $(VENV) $(SITE) raygp-demo raygp-mnist
