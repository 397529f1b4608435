# Two commands on a fresh machine: `make demo` and `make test`. Each sets up what it needs, once.
# `make test` has one short case of each kind of crash. `make drill` has the long ones (about half an hour): run it, too,
# whenever raygp/cluster/ or raygp/store/ has changed.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test drill lint clean

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	  || { echo "raygp needs Python 3.11 as '$(PYTHON)'; say PYTHON=/path/to/python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,optuna,plots,s3,servers,speech]'
	touch $@

demo: $(STAMP)
	$(BIN)/python jobs/imagenet_incremental.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

test: $(STAMP) lint
	$(BIN)/python -m pytest --durations=10

drill: $(STAMP)
	$(BIN)/python -m pytest -m drill --durations=10

clean:
	rm -rf $(VENV) raygp-demo raygp-mnist
