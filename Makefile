# `make` lists the verbs. Everything runs in .venv, made from requirements.lock (every package pinned with its hashes).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
PROFILES ?=
# What `make test-faults` takes without PROFILES: those that are judged in seconds.
QUICK_PROFILES := install,checklist,identity,mtls,traffic,hygiene

.PHONY: help
help: ## List the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.venv/.complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). What to do: make PYTHON=python3.12 …" >&2; exit 4; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv || { \
	  echo "The venv module is missing. What to do: apt-get install python3-venv" >&2; exit 4; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r <($(BIN)/python -c \
	  "import re; print(re.search(r'^uv==.*?(?=^\S)', open('requirements.lock').read(), re.M | re.S)[0])")
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: venv
venv: .venv/.complete

.PHONY: lock
lock: venv ## Take the newest versions that pyproject.toml allows into requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --all-extras --generate-hashes --no-emit-index-url --no-header -o requirements.lock pyproject.toml

.PHONY: lint
lint: venv ## ruff, mypy --strict, the import contract, features and faults against the catalogue, generated pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m reporting.features.feature_lint features
	$(BIN)/python -m provision.faults lint
	$(BIN)/python -m provision.certifier lint
	$(BIN)/python -m tests.traceability lint
	$(BIN)/python -m reporting.troubleshooting lint
	$(BIN)/python -m tests.diagnosis lint

.PHONY: docs
docs: venv ## Write docs/{faults,requirements,troubleshooting,diagnosis}.md, and the certifier's roles with the table of its rights, from the sources
	$(BIN)/python -m provision.faults page
	$(BIN)/python -m provision.certifier page
	$(BIN)/python -m tests.traceability page
	$(BIN)/python -m reporting.troubleshooting page
	$(BIN)/python -m tests.diagnosis page

# One worker more than there are cores, since many tests wait for a process. The tests start hundreds of processes, each of which
# would compile hundreds of modules anew, so what is compiled is kept, whatever the environment says. --confcutdir leaves out the
# conftest.py of the suite itself, which refuses workers. Directories of tests are removed unless one fails.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
.PHONY: test
test: export PYTHONDONTWRITEBYTECODE :=
test: export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/bytecode
test: venv ## The suite's own tests: no cluster, no root; ends with the ten slowest
	@scratch="$$(mktemp -d)"; $(BIN)/pytest -q -n $(WORKERS) --dist worksteal --confcutdir tests --basetemp "$$scratch/t" \
	  --durations 10 --durations-min 0.5 tests/unit tests/plugin tests/contract && rm -rf "$$scratch"

.PHONY: test-nightly
test-nightly: export THOROUGHNESS := nightly
test-nightly: test ## The same with every example of the property tests and every round of the races

.PHONY: findings
findings: venv ## Write every finding that the unit tests make into build/findings/, to compare two shapes of the code
	@rm -rf build/findings
	FINDINGS=build/findings $(BIN)/pytest -q tests/unit -p tests.findings
	$(BIN)/python -m tests.findings build/findings

.PHONY: mutants
mutants: venv ## Small defects in judge/ and facts/ that their unit tests must notice: a fixed sample, 95 % of which must be killed
	$(BIN)/python -m tests.mutants

.PHONY: lab
lab: venv ## Build what a cluster needs where no container registry can be reached, and make sure Docker runs
	$(BIN)/python -m lab host
	$(BIN)/python -m lab build

# What a cluster is made from: on a machine that reaches a container registry, or was told of a mirror, there is nothing to build.
.PHONY: sources
sources: venv
	@wanted="$$($(BIN)/conformance wants-lab)"; if [ "$$wanted" = yes ]; then $(MAKE) --no-print-directory lab; fi

# $(call on_the_lab,COMMAND) runs it, and says what the lab leaves on this machine however it ended.
on_the_lab = @code=0; $(1) || code=$$?; $(BIN)/python -m lab remains; exit $$code

.PHONY: certify
certify: sources ## Provision a kind cluster, certify it, and leave reports/latest/report.html
	$(call on_the_lab,$(BIN)/pytest features/ --profile $(or $(PROFILES),core))

.PHONY: lab-up
lab-up: sources ## A kept cluster with everything installed, for work on the suite
	$(call on_the_lab,$(BIN)/conformance up)

.PHONY: lab-down
lab-down: venv ## Remove the kept cluster and its Teleport
	$(call on_the_lab,$(BIN)/conformance down)

.PHONY: test-lab
test-lab: sources ## Six faults on one kept lab, each of which must fail exactly what it names; and runs that are cut short
	$(call on_the_lab,$(BIN)/pytest -q tests/lab $(patsubst %,--ignore tests/lab/test_%.py,matrix rbac kills migration))

.PHONY: kill-test
kill-test: sources ## Kills disruptive runs at KILLS random moments of KILL_SEED; undo and down must mend the lab. Hours; goes on where it was
	$(call on_the_lab,$(BIN)/pytest -v tests/lab/test_kills.py)

.PHONY: rbac
rbac: sources ## The certifier's roles on one kept lab: the read-only one minimal right by right, the others against the audit log
	$(call on_the_lab,$(BIN)/pytest -v tests/lab/test_rbac.py)

.PHONY: migration
migration: sources ## Moves a small mesh to Teleport under load, in the order of `conformance doctor --migration` and in reverse
	$(call on_the_lab,$(BIN)/pytest -v tests/lab/test_migration.py)

.PHONY: installs
installs: sources ## Lays the lab out as others lay theirs out, and compares what is said of each with a table; NAMES chooses
	$(call on_the_lab,$(BIN)/python -m tests.installs $(NAMES))

.PHONY: examples
examples: sources ## Write docs/examples: the reports of a healthy lab, and of one whose Istio kept its default trust domain
	$(call on_the_lab,$(BIN)/python -m tests.lab.examples)

.PHONY: test-diagnosis
test-diagnosis: sources ## The doctor against every row of docs/diagnosis.md on a kept cluster; PART chooses a feature, such as 6_not_rotating
	$(call on_the_lab,$(BIN)/pytest features/8_diagnosis$(if $(PART),/$(PART).feature) --profile diagnosis --repair strict-mtls --reuse)

.PHONY: test-faults
test-faults: sources ## Faults of PROFILES on one kept lab: healthy, broken exactly as predicted, healthy again
	$(call on_the_lab,$(BIN)/pytest -v tests/lab/test_matrix.py --profile $(or $(PROFILES),$(QUICK_PROFILES)))

.PHONY: bench
bench: sources ## Provisioning against a bare script, the time of the checks, sidecars against a loop; prints ratios of one run
	$(call on_the_lab,$(BIN)/python -m tests.bench)
