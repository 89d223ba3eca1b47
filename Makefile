# Needs Python 3.11 or later with venv, and make; everything else is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin

.NOTPARALLEL:
.PHONY: demo test bench clean

demo: .venv/demo.stamp
	$(BIN)/castiron demo

test: .venv/test.stamp
	@command -v qemu-aarch64-static qemu-aarch64 >/dev/null || \
		echo "qemu-aarch64 is missing, so nothing is run on arm64: install qemu-user-static to have it tested"
	$(BIN)/ruff check
	$(BIN)/python -m pytest

bench: .venv/bench.stamp
	$(BIN)/python -m bench

clean:
	rm -rf .venv demo

.venv/%.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit( \
		f"castiron needs Python 3.11 or later, this is {sys.version.split()[0]}: name another, as in make PYTHON=python3.12")'
	@echo "Installing castiron and what '$*' needs into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@
