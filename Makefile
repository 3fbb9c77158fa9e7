# Every target creates its own virtual environment. It needs only make, git and Python 3.11 or newer with venv and pip.
# The first run installs from constraints.txt (half a minute); later runs reuse the environment.

PYTHON ?= python3
AIRFLOW ?= 3.3
export PYTHON AIRFLOW

.DEFAULT_GOAL := help
.PHONY: help demo up test system verify-real lint format bench build constraints clean

help: ## Show this help
	@echo "airflow-provider-arm"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do \
		printf '  make %-12s %s\n' "$$name" "$$what"; done
	@echo
	@echo "  PYTHON=python3.12   another Python (3.11, 3.12, 3.13); default: $(PYTHON)"
	@echo "  AIRFLOW=3.1         another Airflow (3.3 or 3.1); default: $(AIRFLOW)"
	@echo "  ARGS=\"...\"          more arguments, for example: make test ARGS=\"-k batch -x\""

demo: ## Run the quickstart DAG on a real Airflow against the sandbox and print a summary
	@scripts/run python scripts/demo.py $(ARGS)

up: ## Start the sandbox and Airflow's UI to try things by hand; Ctrl-C stops both
	@scripts/run python scripts/up.py $(ARGS)

test: ## Run the whole test suite, one process per processor, with branch coverage of the package
	@scripts/test $(ARGS)

crash: ## Lose responses, run 5,000 orders of events and kill the process 200 times and more: nothing is lost or doubled
	@scripts/run python -m tests.crash.long_run $(ARGS)

verify-real: ## Observe the readings profile of a real client number and test it (docs/verify-real.md)
	@scripts/run python -m pytest -q -ra $(addprefix tests/contract/test_,reads.py writes.py round.py) \
		--arm=real --observe-readings=readings.observed.json $(ARGS)

system: ## Kill processes of a live Airflow, with SQLite and with Celery workers: nothing is lost or doubled
	@scripts/system-packages --deployment
	@GROUP=system scripts/run python -m pytest tests/system -m system -rs $(ARGS)

lint: ## Run every check: ruff, mypy, pyright, import-linter, check_tree
	@scripts/lint

format: ## Format the code and apply ruff's safe fixes
	@scripts/run ruff format --quiet .
	@scripts/run ruff check --fix --show-fixes .

bench: ## Run the benchmarks and compare each figure with its limit
	@scripts/bench $(ARGS)

build: ## Build the sdist and the wheel into dist/
	@PIP_CONSTRAINT=constraints.txt scripts/run python -m build $(ARGS)

constraints: ## Update the pinned versions (ARGS=--upgrade: to the newest of everything)
	@scripts/update-constraints $(ARGS)

clean: ## Delete everything that make has created: environments, demo, caches, reports
	@rm -rf .venv .venv-* .venv*.lock .demo dist build htmlcov .coverage .coverage.* \
		.pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
