# make demo    set everything up and run the main job: the Yan'an consortium on this machine
# make test    set everything up and run the tests
# make bench   measure, with ratios against baselines of the same run
# make check   formatter, linter, types, and the direction of imports

BIN := .venv/bin
DEMO_ARGS ?=
BENCH_ARGS ?= --nodes 4 --seconds 20
# How many processes run tests at a time, and the tests that have the machine to themselves: those of
# whole networks of real processes, which wait for each other.
WORKERS ?= logical
ALONE := tests/e2e tests/netns

# Programs for Node.js, of others and our own, that tests drive; the demo and a node need none.
PACKAGES := tests/js clients/typescript

.PHONY: setup packages browser demo test bench check clean

setup: .venv/.ready

.venv/.ready: pyproject.toml uv.lock scripts/setup.sh
	./scripts/setup.sh

packages: $(addsuffix /node_modules/.ready,$(PACKAGES))

%/node_modules/.ready: %/package.json %/package-lock.json
	@./scripts/packages.sh $*

# Debian's Chromium, for the tests of pages, where it can be had without asking.
browser:
	@./scripts/chromium.sh

demo: setup
	@$(BIN)/health-ledger demo $(DEMO_ARGS)

ifdef PYTEST_ARGS
test: setup packages browser
	$(BIN)/python -m pytest $(PYTEST_ARGS)
else
test: setup packages browser
	@failed=0; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(addprefix --ignore=,$(ALONE)) || failed=1; \
	$(BIN)/python -m pytest $(ALONE) || failed=1; \
	exit $$failed
endif

bench: setup
	@$(BIN)/health-ledger bench $(BENCH_ARGS)
	@$(BIN)/health-ledger bench contracts --consents 10000 --no-disk

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv $(addsuffix /node_modules,$(PACKAGES)) clients/typescript/dist demo-home .pytest_cache .mypy_cache .ruff_cache .hypothesis
