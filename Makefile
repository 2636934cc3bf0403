# `make look` and `make test` work on a fresh clone: they set up their own .venv.
PYTHON ?= python3
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: look test check suite bench demo clean

look: .venv/look
	.venv/bin/convscope look --out study

test: .venv/test check suite

check: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

suite: .venv/test
	.venv/bin/python -m pytest

bench: .venv/test
	.venv/bin/python benchmarks/run.py

# The accuracy of the built-in network, measured again from the file that is shipped.
demo: .venv/test
	.venv/bin/python training/export.py --only-measure ../shared/data/pictures11

.venv/python:
	$(PYTHON) -m venv .venv
	touch $@

.venv/look: .venv/python pyproject.toml constraints.txt
	$(PIP) --editable '.[demo]'
	touch $@

.venv/test: .venv/look pyproject.toml constraints.txt
	$(PIP) torch
	$(PIP) --editable '.[test]'
	touch $@

clean:
	rm -rf .venv study build dist
