# `make look` and `make test` work on a fresh clone: they set up their own .venv.
PYTHON ?= python3
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: look test check suite bench zoo mutate ray demo clean

look: .venv/look
	.venv/bin/convscope look --out study

test: .venv/test check suite

check: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# Two processes of one thread each: more threads than cores wait for each other. Files start in the order of tests/conftest.py.
suite: .venv/test
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

bench: .venv/test
	.venv/bin/python benchmarks/run.py

# Every value that is read, of the networks that people use, against independent recordings. It takes about an hour.
zoo: .venv/test
	.venv/bin/python zoo/run.py

# Deliberate faults in every engine, in Keras on each backend, and whether the laws notice them.
mutate: .venv/test
	.venv/bin/python mutation/run.py
	KERAS_BACKEND=tensorflow .venv/bin/python mutation/run.py keras_faults
	KERAS_BACKEND=jax .venv/bin/python mutation/run.py keras_faults

# A scan on a local Ray cluster of two workers, one of which is killed, against the same scan without Ray.
ray: .venv/test
	$(PIP) --editable '.[ray]'
	.venv/bin/python -m pytest tests/test_scan_ray.py

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
