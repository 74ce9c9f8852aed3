# The commands people type, and the rules by which stages follow from each other.
# A command first resolves parameters and fingerprints (mnistlib/pipeline/resolve.py), which then becomes
# the make that sees RESOLVED=yes and executes what is out of date.

# What people set is taken literally: make never expands it, and no line that a shell reads holds it. A recipe passes it on
# in the environment. GIVEN are the variables of the command line, whatever their names; all that stands in this file is
# `override`, so that none of these replaces it.
override SETTINGS := PARAMS RUN SET INPUT A B KILLS SEED LOG LAB PYTHON TRACKING SLOW RESOLVED TODO TOGETHER ANSWERS SHARED_THREADS
override PASSED_ON := MNIST_DIR MLFLOW_TRACKING_URI GOMP_SPINCOUNT MAKE MAKE_COMMAND
override GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name))) \
	$(foreach name,$(PASSED_ON),$(if $(filter environment,$(origin $(name))),$(name)))
$(foreach name,$(SETTINGS) $(GIVEN),$(eval override $$(name) := $$(value $$(name))))
export $(SETTINGS) $(GIVEN)
# Threads wait for each other by spinning for some 0.1 ms, then asleep: spinning on takes a step of training from 0.1 s to
# 3 s beside other programs, and asleep at once it takes a third more where there are none (docs/experiments.md).
ifndef OMP_WAIT_POLICY
export GOMP_SPINCOUNT ?= 2000
endif
# The make that mnistlib/pipeline/resolve.py becomes. No recipe says $(MAKE) itself: such a line is run even under -n.
override MAKE_COMMAND := $(firstword $(MAKE))
export MAKE_COMMAND
# These would lead Python or pip elsewhere, or change how Python starts and ends. `make doctor` names those that are set.
override UNWANTED := PYTHONPATH PYTHONHOME PYTHONPLATLIBDIR PYTHONEXECUTABLE PYTHONSAFEPATH PYTHONSTARTUP PYTHONINSPECT \
	PYTHONOPTIMIZE PYTHONWARNINGS PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT
override IGNORED := $(foreach name,$(UNWANTED),$(if $(filter-out undefined,$(flavor $(name))),$(name)))
unexport $(UNWANTED)
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:

override STAGES := 01_data 02_preprocess 03_train 04_evaluate 05_features 06_infer
override GOALS := data preprocess train evaluate features infer
override CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python
# Becomes the Python of the project's environment, which it builds if need be.
override PYTHON_SH := sh mnistlib/pipeline/python.sh

ifneq ($(RESOLVED),yes)

## help: this list
.PHONY: help
help:
	@echo 'A digit classifier as a notebook pipeline.'
	@awk -v profiles="$$(ls params | sed -n 's/\.yaml$$//p' | tr '\n' ' ')" '{ i = index($$0, ": "); rest = substr($$0, i + 2) } \
	/^### / { print "\n" substr($$0, 5) } \
	/^## / { printf "  make %-11s %s\n", substr($$0, 4, i - 4), rest } \
	/^#- / { sub("PROFILES ", profiles, rest); printf "  %-16s %s\n", substr($$0, 4, i - 4), rest }' Makefile

### Everyday
## all: run the six notebooks and write the reports into runs/RUN
## data: run stage 01, which checks the dataset
## preprocess: run the stages up to 02, which splits the dataset
## train: run the stages up to 03, which trains the network
## evaluate: run the stages up to 04, which measures accuracy and calibration
## features: run the stages up to 05, which plots the embeddings
## infer: run the stages up to 06, which recognizes your own pictures, given by INPUT
.NOTPARALLEL:
.PHONY: all $(GOALS)
all $(GOALS):
	@+GOAL=$@ exec $(PYTHON_SH) -m mnistlib resolve

## status: say what is up to date, what would run and why; change nothing
.PHONY: status
status:
	@GOAL=status exec $(PYTHON_SH) -m mnistlib resolve

## teach: fine-tune the model of RUN on your own corrected drawings, into a new run
.PHONY: teach
teach:
	@exec $(PYTHON_SH) -m mnistlib teach

## compare: show the runs A and B side by side, in runs/compare/
.PHONY: compare
compare:
	@exec $(PYTHON_SH) -m mnistlib compare

## verify: repeat RUN from its receipt and say which results agree
.PHONY: verify
verify:
	@exec $(PYTHON_SH) -m mnistlib verify

## export: write the model of RUN as ONNX, for programs without torch
.PHONY: export
export:
	@exec $(PYTHON_SH) -m mnistlib export

## lab: open the notebooks in JupyterLab
.PHONY: lab
lab:
	@PYTHONPATH="$$PWD" exec $(PYTHON_SH) -m mnistlib lab

## clean: delete runs/RUN after a question
.PHONY: clean
clean:
	@exec $(PYTHON_SH) -m mnistlib clean

## doctor: say what this machine has and lacks, and what to do about it
.PHONY: doctor
doctor:
	@for least in 3,11 3,; do for p in $(CANDIDATES); do \
	if command -v $$p >/dev/null 2>&1 && $$p -c "import sys; sys.exit(sys.version_info < ($$least))" 2>/dev/null; \
	then IGNORED="$(IGNORED)" exec $$p -m mnistlib.pipeline.doctor; fi; done; done; \
	echo 'wrong Python: none of $(CANDIDATES) starts; install Python 3.11 or newer' >&2; exit 1

### For developers
## env: build or repair the environment
.PHONY: env
env:
	@$(PYTHON_SH)

## lock: write requirements.lock from pyproject.toml with uv; rm requirements.lock first for newer versions
# A torch for GPUs brings its accelerator packages by itself; in the lock they would come to machines without a GPU, too.
.PHONY: lock
lock:
	@PATH="$$PATH:.venv/bin" uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --no-annotate \
	--extra dev --extra browser --custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml
	@grep -vE '^(nvidia-|cuda-|triton)' requirements.lock >requirements.lock.new && mv requirements.lock.new requirements.lock

## test: run the tests of a few minutes
.PHONY: test
test:
	@exec $(PYTHON_SH) -m pytest -n auto --dist loadfile --no-loadscope-reorder \
	$(if $(filter too,$(SLOW)),,-m "$(if $(filter only,$(SLOW)),,not )slow")

## lint: run ruff, mypy and import-linter; with pip-audit installed, list known advisories of the lock
.PHONY: lint
lint:
	@$(PYTHON_SH) -m ruff check . && $(PYTHON_SH) -m ruff format --check . && $(PYTHON_SH) -m mypy && \
	$(PYTHON_SH) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-cache && \
	$(PYTHON_SH) -m bench.advisories

## soak: try 10,000 odd pictures and damaged files, and kill a small run KILLS times
.PHONY: soak
soak:
	@FUZZ_CASES=10000 $(PYTHON_SH) -m pytest tests/test_fuzz.py tests/attacks/test_fuzz_readers.py && \
	FUZZ_CASES=3000 $(PYTHON_SH) -m pytest tests/attacks/test_fuzz_trees.py && \
	exec $(PYTHON_SH) -m tests.soak

## bench: measure seconds and accuracy, into runs/bench/; QUICK=1 or FULL=1
.PHONY: bench
bench:
	@exec $(PYTHON_SH) -m bench

### Settings, after the target: make all PARAMS=smoke RUN=first SET="train.epochs=3 seed=1"
#- PARAMS: profile, one of PROFILES (default: default), or a YAML file
#- RUN: name of the run, a folder in runs/ (default: the profile's name)
#- SET: parameters to change; params/default.yaml explains them all
#- INPUT: folder or files of your own pictures, for infer
#- A, B: names of the two runs to compare
#- MNIST_DIR: folder that holds the four MNIST files
#- TRACKING: mlflow logs the finished run to MLflow, for all
#- LAB: options of JupyterLab, for lab: LAB="--port 8899 --no-browser"
#- LOG: debug, info or warning: what the terminal shows
#- SLOW: too adds the slow tests, only leaves the others out, for test
#- KILLS, SEED: number of kills (100) and the seed of their moments, for soak

else

# What stands in TODO is executed in this order; the runner leaves a stage alone whose inputs are the same after all.
# Under -j these two run at once, each with its share of the cores: two full teams of threads wait for each other.
override SIDE_BY_SIDE := 04_evaluate 05_features
override SHARE = $(if $(filter $@,$(SIDE_BY_SIDE)),$(if $(SHARED_THREADS),env OMP_NUM_THREADS="$$SHARED_THREADS" MNISTLIB_WARM=))
override TODO := $(filter $(STAGES),$(TODO))

.PHONY: all $(GOALS) pages together $(STAGES)
all $(GOALS): pages
	$(if $(filter all-mlflow,$@-$(TRACKING)),@exec "$$PYTHON" -m mnistlib track)
# Where they run one after the other (TOGETHER) a single runner executes them, which spares all but the first its start.
together:
	@exec "$$PYTHON" -m mnistlib execute $(TODO)
pages: $(if $(TOGETHER),together,$(TODO))
	@exec "$$PYTHON" -m mnistlib pages
$(STAGES):
	$(if $(filter $@,$(TODO)),@exec $(SHARE) "$$PYTHON" -m mnistlib execute $@)
02_preprocess: 01_data
03_train: 02_preprocess
04_evaluate 05_features: 02_preprocess 03_train
06_infer: 03_train 04_evaluate

endif
