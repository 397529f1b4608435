# Two commands on a fresh machine: `make demo` and `make test`. Each sets up what it needs, once.
# `make test` has one short case of each kind of crash. `make drill` has the long ones (about half an hour): run it, too,
# whenever raygp/cluster/ or raygp/store/ has changed.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RAY_LOG := $(VENV)/ray-tests.log

.PHONY: demo test drill lint clean

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	  || { echo "raygp needs Python 3.11 as '$(PYTHON)'; say PYTHON=/path/to/python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,export,huggingface,optuna,plots,s3,serve,servers,speech,text,timm]'
	touch $@

demo: $(STAMP)
	$(BIN)/python jobs/imagenet_incremental.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

# Tests on Ray's cluster spend half of their time waiting for its processes, so they run beside the others. What they
# print follows when the others are done; meanwhile it stands in $(RAY_LOG).
test: $(STAMP) lint
	@echo "tests that use a Ray cluster run beside the others: $(RAY_LOG) shows how far they are"
	@$(BIN)/python -m pytest -m 'cluster and not drill' --durations=10 -p no:cacheprovider >$(RAY_LOG) 2>&1 & ray=$$!; \
	$(BIN)/python -m pytest -m 'not cluster and not drill' --durations=10; others=$$?; \
	tail -n +1 -f --pid=$$ray $(RAY_LOG); wait $$ray; ray=$$?; \
	test $$others = 0 -a $$ray = 0 || { echo "tests failed: see above (exit codes $$others and, with Ray, $$ray)"; exit 1; }

drill: $(STAMP)
	$(BIN)/python -m pytest -m drill --durations=10

clean:
	rm -rf $(VENV) raygp-demo raygp-mnist
