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
# 3 s beside other programs, and asleep at once it takes a third more where there are none (bench/README.md).
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

## help: what there is
.PHONY: help
help:
	@echo 'A digit classifier as a notebook pipeline.'
	@echo
	@sed -n 's/^## /  make /p' Makefile | awk -F': ' '{printf "%-24s %s\n", $$1, $$2}'
	@echo
	@echo '  PARAMS=smoke  RUN=name  SET="train.epochs=3 train.learning_rate=0.01"  MNIST_DIR=folder  LOG=debug|info|warning'

## all: run the six notebooks into runs/RUN and write its reports
## data: stage 01 alone
## preprocess: up to stage 02
## train: up to stage 03
## evaluate: up to stage 04
## features: up to stage 05
## infer: up to stage 06; INPUT=folder-or-files recognises your own pictures
.NOTPARALLEL:
.PHONY: all $(GOALS)
all $(GOALS):
	@+GOAL=$@ exec $(PYTHON_SH) -m mnistlib resolve

## status: for each stage of RUN, up to date, or what would run and why; changes nothing
.PHONY: status
status:
	@GOAL=status exec $(PYTHON_SH) -m mnistlib resolve

## teach: learn your own corrected drawings with the model of RUN, into a new run
.PHONY: teach
teach:
	@exec $(PYTHON_SH) -m mnistlib teach

## compare: runs A and B side by side, into runs/compare/
.PHONY: compare
compare:
	@exec $(PYTHON_SH) -m mnistlib compare

## export: the model of RUN as ONNX, for programs without torch
.PHONY: export
export:
	@exec $(PYTHON_SH) -m mnistlib export

## verify: make RUN again from its receipt, beside it, and say what agrees
.PHONY: verify
verify:
	@exec $(PYTHON_SH) -m mnistlib verify

## lab: open the notebooks in JupyterLab; LAB="--port 8899 --no-browser" gives it options
.PHONY: lab
lab:
	@PYTHONPATH="$$PWD" exec $(PYTHON_SH) -m mnistlib lab

## test: the tests of a few minutes; SLOW=too with the slow ones, SLOW=only those alone
.PHONY: test
test:
	@exec $(PYTHON_SH) -m pytest $(if $(filter too,$(SLOW)),,-m "$(if $(filter only,$(SLOW)),,not )slow")

## lint: ruff, mypy and import-linter; with pip-audit installed, known advisories of what is locked
.PHONY: lint
lint:
	@$(PYTHON_SH) -m ruff check . && $(PYTHON_SH) -m ruff format --check . && $(PYTHON_SH) -m mypy && \
	$(PYTHON_SH) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-cache && \
	$(PYTHON_SH) -m bench.advisories

## soak: feed it 10,000 odd pictures and damaged files, and kill a small run KILLS times (100), at moments that SEED sets
.PHONY: soak
soak:
	@FUZZ_CASES=10000 $(PYTHON_SH) -m pytest tests/test_fuzz.py tests/attacks/test_fuzz_readers.py && \
	exec $(PYTHON_SH) -m tests.soak

## bench: seconds and accuracy of profiles and pipelines, in runs/bench/; QUICK=1 or FULL=1
.PHONY: bench
bench:
	@exec $(PYTHON_SH) -m bench

## env: build or repair the environment
.PHONY: env
env:
	@$(PYTHON_SH)

## lock: write requirements.lock anew from pyproject.toml; needs uv. rm requirements.lock first takes the newest of all
# A torch for GPUs brings its accelerator packages by itself; in the lock they would come to machines without a GPU, too.
.PHONY: lock
lock:
	@PATH="$$PATH:.venv/bin" uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --no-annotate \
	--extra dev --extra browser --custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml
	@grep -vE '^(nvidia-|cuda-|triton)' requirements.lock >requirements.lock.new && mv requirements.lock.new requirements.lock

## doctor: what this machine has and lacks, and what to do; builds nothing
.PHONY: doctor
doctor:
	@for least in 3,11 3,; do for p in $(CANDIDATES); do \
	if command -v $$p >/dev/null 2>&1 && $$p -c "import sys; sys.exit(sys.version_info < ($$least))" 2>/dev/null; \
	then IGNORED="$(IGNORED)" exec $$p -m mnistlib.pipeline.doctor; fi; done; done; \
	echo 'wrong Python: none of $(CANDIDATES) starts; install Python 3.11 or newer' >&2; exit 1

## clean: delete runs/RUN and all that is in it; asks first
.PHONY: clean
clean:
	@exec $(PYTHON_SH) -m mnistlib clean

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
