# Needs make and Python 3.11, 3.12 or 3.13 with venv; everything else is installed into .venv.

SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(SUITABLE)' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin

.NOTPARALLEL:
.PHONY: demo test bench clean

demo: .venv/demo.stamp
	$(BIN)/castiron demo

test: .venv/test.stamp
	@command -v qemu-aarch64-static qemu-aarch64 >/dev/null || \
		echo "qemu-aarch64 is missing, so nothing is run on arm64: install qemu-user-static to have it tested"
	$(BIN)/ruff check --no-cache
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

bench: .venv/bench.stamp
	$(BIN)/python -m bench

clean:
	rm -rf .venv demo

.venv/%.stamp: pyproject.toml
	@test -n '$(PYTHON)' && $(PYTHON) -c '$(SUITABLE)' || { \
		echo "Python 3.11, 3.12 or 3.13 is needed (TensorFlow has no wheels for others); name it: make PYTHON=FILE" >&2; \
		exit 1; }
	@echo "Installing castiron and what '$*' needs into .venv: about a minute, once"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@
