# Everything a newcomer needs takes no argument: make up, make down, make test, make check, make proof.
VENV    := .venv
BIN     := $(VENV)/bin
EXAMPLE := examples/two-clouds/arriero.yaml
UV      := $(BIN)/uv pip
OLLAMA  := $(VENV)/ollama/ollama

.PHONY: setup setup-dev up down test check proof docs groovy ollama format lock clean

setup: $(VENV)/.run      ## the environment that `arriero` runs in
setup-dev: $(VENV)/.dev  ## the same, with what tests and checks need

$(BIN)/uv:
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "arriero needs Python 3.11 or newer")'
	python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.lock

$(VENV)/.run: $(BIN)/uv requirements/run.lock pyproject.toml
	$(UV) install --quiet --python $(BIN)/python --require-hashes -r requirements/run.lock
	$(UV) install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	$(BIN)/arriero setup
	touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.lock
	$(UV) install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock
	touch $@

up: setup
	$(BIN)/arriero up -f $(EXAMPLE) --yes
	$(BIN)/arriero ask -f $(EXAMPLE) "Why deploy to two clouds?"

down: setup
	$(BIN)/arriero down -f $(EXAMPLE) --purge --yes
	$(BIN)/arriero rehearse stop -f $(EXAMPLE)

test: check
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not wide" -rs

check: setup-dev
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/ruff check --no-cache src tests benchmarks docs
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/test_size.py

proof: setup-dev $(if $(ARRIERO_OLLAMA),,ollama)
	$(BIN)/python tests/proof.py $(PARTS)

ollama: $(OLLAMA)        ## a real Ollama for tests and benchmarks (needs Go and a C++ compiler; five minutes)

$(OLLAMA): $(BIN)/uv
	GOBIN=$(dir $(abspath $@)) go install github.com/ollama/ollama@v0.6.5

groovy:                  ## what runs a Jenkinsfile in tests: the Groovy that Jenkins itself runs (needs Maven)
	for part in groovy groovy-json; do \
	  mvn --batch-mode --quiet dependency:copy -Dartifact=org.codehaus.groovy:$$part:2.4.21 -DoutputDirectory=$(CURDIR)/$(VENV)/groovy; \
	done

docs: setup-dev          ## the documentation as a site, in .venv/site; no network is needed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

format: setup-dev
	$(BIN)/ruff format src tests benchmarks docs
	$(BIN)/ruff check --fix src tests benchmarks docs

lock: $(BIN)/uv          ## resolves the dependencies anew
	$(UV) compile --quiet --generate-hashes --no-header --no-annotate --python-version 3.11 \
	  --extra deploy --extra aws --extra azure --extra stage --extra otel --extra pipeline --extra ledger --extra shared --extra image --extra grafana --extra top --extra ui requirements/build.in pyproject.toml -o requirements/run.lock
	$(UV) compile --quiet --generate-hashes --no-header --no-annotate --python-version 3.11 \
	  --extra deploy --extra aws --extra azure --extra stage --extra otel --extra pipeline --extra ledger --extra shared --extra image --extra grafana --extra top --extra ui --extra docs --extra dev -c requirements/run.lock requirements/build.in pyproject.toml -o requirements/dev.lock
	$(UV) compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
	  -c requirements/run.lock pyproject.toml -o src/arriero/pipeline/image/data/sidecar.lock
	echo 'checkov==3.3.30' | $(UV) compile --quiet --generate-hashes --no-header --no-annotate --python-version 3.11 - -o requirements/checkov.lock
	echo 'uv==0.13.9' | $(UV) compile --quiet --generate-hashes --no-header --no-annotate - -o requirements/uv.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
