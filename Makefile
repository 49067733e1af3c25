# mergealgebra: `make demo` runs the main job on real data, `make test` the tests, `make check` what CI runs.
# Everything is installed into .venv; CONSTRAINTS pins what a given machine needs pinned.
PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check lint trace vectors clean
