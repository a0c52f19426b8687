# Set-up, tests and builds. `make demo` is all that a fresh checkout needs.
#
# Needs make and a CPython of 3.11 or newer with pip; a C compiler is used if there is one. Everything is installed in
# .venv, and again only when what is installed there changes.

PYTHON ?= $(shell for python in python3.15 python3.14 python3.13 python3.12 python3.11 python3; do \
    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11) or sys.version_info.releaselevel != "final")' \
        2>/dev/null; then echo $$python; break; fi; done)

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
TOOLS := tmux wrk
SERVERS := redis-server
# Most tests wait more than they compute: more at a time than there are processors. Not the runtime's, which look at
# the threads, the objects and the processor time of their own process; not those that are themselves a load; and not
# those that press keys.
SIDE_BY_SIDE := -n 6 --dist worksteal
ALONE := tests/runtime tests/e2e/test_burst.py tests/e2e/test_console_in_terminal.py tests/e2e/test_web_under_load.py
NATIVE := runtime/asynctop/core/native
INSTALLED_FROM := pyproject.toml hatch_build.py $(wildcard $(NATIVE)/*.c $(NATIVE)/*.h)

# Tests start programs by the hundred: what is compiled is kept for the next one.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test scenarios real tools lint looks harmless sanitize bench picture lint-pages comparison wheel clean

demo: $(STAMP)
	$(BIN)/asynctop demo

# Tests that need a tool which is neither there nor to be had are left out, and make says so. CI leaves none out.
test: $(STAMP) tools
	@set -e; without=; for tool in $(TOOLS); do command -v $$tool >/dev/null || { \
	    echo "make: $$tool is missing, so the tests that drive it are left out: install it to run them" >&2; \
	    without="$${without:+$$without and }not $$tool"; }; done; \
	$(BIN)/python -m pytest -q $(ALONE) $${without:+-m "$$without"}; \
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) $(ALONE:%=--ignore=%) --ignore=tests/scenarios --ignore=tests/real \
	    $${without:+-m "$$without"}

# Sick programs and their healthy twins, with each core and on each loop: every diagnosis, and no false alarm; nor
# any at a short look at real programs.
scenarios: $(STAMP) tools
	$(BIN)/python -m pytest -q tests/scenarios tests/real

# Real programs that are healthy, under load, for a minute each: nothing is said of them. Takes a quarter of an hour.
# PostgreSQL's program is left out where that is not installed.
real: $(STAMP) tools
	$(BIN)/python -m tests.real

# A real terminal, a real load generator and a real database, for tests: installed where nobody need be asked.
tools:
	@missing=$$(for tool in $(TOOLS) $(SERVERS); do command -v $$tool >/dev/null || echo $$tool; done); \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $$missing >/dev/null || true; \
	fi

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests
	$(BIN)/mypy benchmarks/*.py
	$(BIN)/mypy hatch_build.py
	$(BIN)/mypy harmless/*.py
	$(BIN)/mypy docs/*.py docs/comparison/*.py

# What every screen of the console looks like, written down anew in tests/console/looks: `git diff` shows what changed.
looks: $(STAMP)
	ASYNCTOP_REWRITE_LOOKS=1 $(BIN)/python -m pytest -q tests/console/test_views_looks.py

# CPython's, uvloop's and aiohttp's own tests, with asynctop and without, on both cores: no test may end differently.
harmless: $(STAMP)
	for core in c python; do \
	    $(BIN)/python harmless/cpython.py --core $$core && $(BIN)/python harmless/cpython.py --core $$core --debug \
	        && $(BIN)/python harmless/uvloop_suite.py --core $$core \
        && $(BIN)/python harmless/aiohttp_suite.py --core $$core || exit 1; \
	done

# The runtime's tests with the C core under AddressSanitizer and UndefinedBehaviorSanitizer. Needs gcc.
sanitize: $(STAMP)
	$(BIN)/python harmless/sanitize.py

bench: $(STAMP) tools
	$(BIN)/python benchmarks --share 0.1

# The README's picture of the console. Needs Chromium.
picture: $(STAMP)
	$(BIN)/python docs/picture.py docs/console.png

# The lints' pages in docs/lints. Runs the sick programs.
lint-pages: $(STAMP)
	$(BIN)/python -m docs.lints

# The pages in docs/comparison. Runs the sick programs under other tools, where that has not been done: half an hour
# for all of them. What needs Python 3.15 is run only if `python -m docs.comparison` is told of one.
comparison: $(STAMP)
	$(BIN)/python -m docs.comparison

# The wheel is built from the source distribution, so both are known to be complete.
wheel: $(STAMP)
	rm -rf dist
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find runtime protocol console demos tests -name __pycache__ -prune -exec rm -rf {} +
	find runtime -name '*.so' -delete

# Debian keeps ensurepip in a package of its own: where it is missing, the machine's pip does instead.
$(STAMP): $(INSTALLED_FROM)
	@python="$(PYTHON)"; [ -n "$$python" ] && "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "make: need Python 3.11 or newer, found $${python:-none}: install one, or say make PYTHON=/path/to/python" >&2; \
	    exit 2; }; \
	[ -x $(BIN)/python ] && $(BIN)/python -m pip --version >/dev/null 2>&1 \
	    || "$$python" -m venv --clear $(VENV) >/dev/null \
	    || { "$$python" -m venv --clear --without-pip $(VENV) \
	        && "$$python" -m pip --python $(BIN)/python install --quiet pip; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@$(BIN)/python -c 'import asynctop.core.native._native' 2>/dev/null || \
	    echo "make: the C core was not built, so the slower Python core is used: the C core needs a C compiler and Python's headers" >&2
	@touch $@
