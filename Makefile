PYTHON ?= python3
HTTP_PORT ?= 8080
TCP_PORT ?= 9000

BIN := .venv/bin
HTTP := http://127.0.0.1:$(HTTP_PORT)
EVENT = {"specversion":"1.0","id":"$(1)","source":"/shop","type":"com.example.order.placed","data":{"order_id":"o-$(1)","total":"9.50"}}

.PHONY: help run test bench clean
.DEFAULT_GOAL := help

help: ## what you can do here
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 14

run: .venv/.installed ## start the service with the demo handlers; HTTP_PORT and TCP_PORT can be set
	@echo
	@echo 'txevents takes events on $(HTTP) and on TCP port $(TCP_PORT). Ctrl-C stops it. To try it:'
	@echo
	@echo '1. A CloudEvent by HTTP'
	@echo
	@echo "  curl -i $(HTTP)/events -H 'Content-Type: application/cloudevents+json' -d '"'$(call EVENT,1)'"'"
	@echo
	@echo '2. A webhook'
	@echo
	@echo "  curl -i $(HTTP)/hooks/github -H 'Content-Type: application/json' -d '"'{"action":"opened","number":1}'"'"
	@echo
	@echo '3. A line by TCP, and its answer'
	@echo
	@echo "  echo '"'$(call EVENT,2)'"' | bash -c 'exec 3<>/dev/tcp/127.0.0.1/$(TCP_PORT); cat >&3; head -n 1 <&3'"
	@echo
	@exec $(BIN)/twistd --nodaemon --pidfile= events \
		--http tcp:$(HTTP_PORT):interface=127.0.0.1 \
		--tcp tcp:$(TCP_PORT):interface=127.0.0.1 \
		--handlers examples.demo

test: .venv/.tox ## run every check (they are defined in tox.ini)
	@$(BIN)/tox run

bench: .venv/.bench ## measure, with the peers, and print ratios
	@$(BIN)/python -m benchmarks

clean: ## remove what make, the tools and Python have left here
	rm -rf .venv .tox .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist htmlcov docs/_build
	rm -rf *.egg-info .coverage .coverage.* _trial_temp* twisted/plugins/dropin.cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment that is already there is kept and used.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo 'txevents needs Python 3.11 or later: make PYTHON=/path/to/python3 ...' >&2; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/.installed: pyproject.toml setup.py | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.bench: pyproject.toml setup.py | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@ .venv/.installed

.venv/.tox: | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'tox>=4.22'
	@touch $@
