# `make scan` audits this machine, `make test` runs everything, `make demo` shows the whole on a real node.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BED := tests/bed
HELM := $${SOCKAUDIT_BED:-$$HOME/.cache/sockaudit-bed}/bin/helm

.PHONY: help
help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# The environment is made anew whenever pyproject.toml changes.
$(VENV)/ready: pyproject.toml hatch_build.py auditor/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "sockaudit: Python 3.11 or newer is needed; name it with make PYTHON=/path/to/python3" >&2; exit 2; }
	@echo "making $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/pip install --quiet --editable . --group dev
	@touch $@

.PHONY: scan
scan: $(VENV)/ready ## audit this machine
	@$(BIN)/sockaudit scan

.PHONY: lint
lint: $(VENV)/ready ## style, types, the import contract
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: generate
generate: $(VENV)/ready ## the CRD, the manifests and the reference, from the model and the chart
	$(BIN)/python -m auditor.publish.reference > docs/reference.md.part
	mv docs/reference.md.part docs/reference.md
	$(BIN)/python -m auditor.publish.crd > helm/sockaudit/files/crd.yaml.part
	mv helm/sockaudit/files/crd.yaml.part helm/sockaudit/files/crd.yaml
	$(HELM) template sockaudit helm/sockaudit --namespace sockaudit-system --skip-tests \
	  | grep --invert-match --extended-regexp '^ +(app.kubernetes.io/managed-by|helm.sh/chart):' > manifests/sockaudit.yaml.part
	mv manifests/sockaudit.yaml.part manifests/sockaudit.yaml

# A real node and emulated kernels need root on Debian. Elsewhere their tests are named as left out; under CI nothing may be.
NODE_TESTS := $(shell [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo yes)
ifeq ($(NODE_TESTS)$(CI),)
LEFT_OUT := --ignore=tests/node --ignore=tests/kernels --ignore=tests/bench --ignore=tests/browser --ignore=tests/history
endif
# Nothing on the machine matters to these, so they run while the others wait for what a node does in its own time.
ASIDE := tests/unit tests/soak tests/browser tests/history tests/bench tests/test_wheel.py

.PHONY: test
test: lint ## everything, on a real node too
ifeq ($(LEFT_OUT),)
	$(BED)/packages.sh
	$(BED)/build.sh
	$(BIN)/python -m auditor.kernel.bpf.compile
	shellcheck --severity=warning --external-sources --source-path=SCRIPTDIR $(BED)/*.sh
	@nice $(BIN)/pytest --durations=5 -p no:cacheprovider $(ASIDE) > $(VENV)/aside.log 2>&1 & aside=$$!; \
	  $(BIN)/pytest --durations=25 $(addprefix --ignore=,$(ASIDE)); status=$$?; \
	  echo "beside it: $(ASIDE)"; wait $$aside || status=1; cat $(VENV)/aside.log; exit $$status
else
	$(BIN)/pytest --durations=15 $(LEFT_OUT)
	@echo "left out, for it needs root on Debian or Ubuntu: tests/node (a real kubelet, apiserver and helm), tests/kernels (Debian 6.1 and 6.12, emulated), tests/bench, tests/browser (Chromium), tests/history (Prometheus), shellcheck of tests/bed"
endif

.PHONY: soak
soak: $(VENV)/ready ## what takes long: ten minutes of mangled trees, 2,240 series of half a day, two minutes without an API, 5,000 nodes
	SOCKAUDIT_FUZZ_SECONDS=600 SOCKAUDIT_SERIES=160 $(BIN)/pytest tests/soak -s --timeout=900
	SOCKAUDIT_FLEET=5000 SOCKAUDIT_OUTAGE=120 $(BIN)/pytest tests/node/test_4_faults.py tests/node/test_6_fleet.py -s

.PHONY: bench
bench: $(VENV)/ready ## what a sweep costs, beside peers, in ratios; writes docs/benchmark.md
	$(BED)/packages.sh
	$(BIN)/python -m auditor.kernel.bpf.compile
	PYTHONPATH=tests $(BIN)/python -m bench

.PHONY: demo
demo: ## a real node, helm install, kubectl get sockaudits; leaves it running
	@$(BED)/demo.sh

.PHONY: down
down: ## stop the node that make demo or a test left running
	@$(BED)/down.sh
