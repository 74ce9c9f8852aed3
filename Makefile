# The commands people type, and the rules by which stages follow from each other.
# A command first resolves parameters and fingerprints (mnistlib/resolve.py), which then becomes
# the make that sees RESOLVED=yes and executes what is out of date.

# What people set is taken literally: never expanded again by make, never seen by a shell as code.
override PARAMS := $(value PARAMS)
override RUN := $(value RUN)
override SET := $(value SET)
override INPUT := $(value INPUT)
override A := $(value A)
override B := $(value B)
override KILLS := $(value KILLS)
override SEED := $(value SEED)
override LOG := $(value LOG)
override LAB := $(value LAB)
override PYTHON := $(value PYTHON)
override TRACKING := $(value TRACKING)
ifdef MNIST_DIR
override MNIST_DIR := $(value MNIST_DIR)
export MNIST_DIR
endif
ifdef MLFLOW_TRACKING_URI
override MLFLOW_TRACKING_URI := $(value MLFLOW_TRACKING_URI)
export MLFLOW_TRACKING_URI
endif
export PARAMS RUN SET INPUT A B KILLS SEED LOG LAB TRACKING PYTHON
# Threads wait for each other by spinning for some 0.1 ms, then asleep: spinning on takes a step of training from 0.1 s to
# 3 s beside other programs, and asleep at once it takes a third more where there are none (bench/README.md).
ifndef OMP_WAIT_POLICY
export GOMP_SPINCOUNT ?= 2000
endif
# These would lead Python or pip elsewhere, or change how Python starts and ends. `make doctor` names those that are set.
UNWANTED := PYTHONPATH PYTHONHOME PYTHONPLATLIBDIR PYTHONEXECUTABLE PYTHONSAFEPATH PYTHONSTARTUP PYTHONINSPECT \
	PYTHONOPTIMIZE PYTHONWARNINGS PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT
IGNORED := $(foreach name,$(UNWANTED),$(if $(filter-out undefined,$(flavor $(name))),$(name)))
unexport $(UNWANTED)
MAKEFLAGS += --no-print-directory
# By another name, for a line that says $(MAKE) itself is run even under -n.
COMMAND = $(firstword $(MAKE))
.DELETE_ON_ERROR:
.SUFFIXES:

STAGES := 01_data 02_preprocess 03_train 04_evaluate 05_features 06_infer
GOALS := data preprocess train evaluate features infer
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python
# How many files a program may open: some shells allow fewer than a kernel needs, but more when they are asked.
OPEN_FILES := 1024
FIND = find_python() { for p in $(CANDIDATES); do \
	if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then $$p mnistlib/environment.py find; return; fi; done; \
	echo "Python 3.11 or newer is needed, and none of $(CANDIDATES) is." >&2; return 1; }; \
	[ "$$(ulimit -S -n)" -ge $(OPEN_FILES) ] 2>/dev/null || ulimit -S -n $(OPEN_FILES) 2>/dev/null || \
	ulimit -S -n "$$(ulimit -H -n)"; \
	python=$$(find_python) || exit

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
	@+$(FIND); GOAL=$@ MAKE_COMMAND=$(COMMAND) exec "$$python" -m mnistlib.resolve

## status: for each stage of RUN, up to date, or what would run and why; changes nothing
.PHONY: status
status:
	@$(FIND); GOAL=status exec "$$python" -m mnistlib.resolve

## teach: learn your own corrected drawings with the model of RUN, into a new run
.PHONY: teach
teach:
	@$(FIND); exec "$$python" -m mnistlib.taught

## compare: runs A and B side by side, into runs/compare/
.PHONY: compare
compare:
	@$(FIND); exec "$$python" -m mnistlib.compare

## export: the model of RUN as ONNX, for programs without torch
.PHONY: export
export:
	@$(FIND); exec "$$python" -m mnistlib.export

## verify: make RUN again from its receipt, beside it, and say what agrees
.PHONY: verify
verify:
	@$(FIND); MAKE_COMMAND=$(COMMAND) exec "$$python" -m mnistlib.verify

## lab: open the notebooks in JupyterLab; LAB="--port 8899 --no-browser" gives it options
.PHONY: lab
lab:
	@$(FIND); PYTHONPATH="$$PWD" exec "$$python" -m mnistlib.lab

## test: the tests of a few minutes; SLOW=too with the slow ones, SLOW=only those alone
.PHONY: test
test:
	@$(FIND); exec "$$python" -m pytest $(if $(filter too,$(SLOW)),,-m "$(if $(filter only,$(SLOW)),,not )slow")

## lint: ruff and mypy
.PHONY: lint
lint:
	@$(FIND); "$$python" -m ruff check . && "$$python" -m ruff format --check . && "$$python" -m mypy

## soak: feed it 10,000 odd pictures and damaged files, and kill a small run KILLS times (100), at moments that SEED sets
.PHONY: soak
soak:
	@$(FIND); FUZZ_CASES=10000 "$$python" -m pytest tests/test_fuzz.py tests/attacks/test_fuzz_readers.py \
	&& exec "$$python" -m tests.soak

## bench: seconds and accuracy of profiles and pipelines, in runs/bench/; QUICK=1 or FULL=1
.PHONY: bench
bench:
	@$(FIND); exec "$$python" -m bench

## env: build or repair the environment
.PHONY: env
env:
	@$(FIND); echo "$$python"

## doctor: what this machine has and lacks, and what to do; builds nothing
.PHONY: doctor
doctor:
	@for least in 3,11 3,; do for p in $(CANDIDATES); do \
	if command -v $$p >/dev/null 2>&1 && $$p -c "import sys; sys.exit(sys.version_info < ($$least))" 2>/dev/null; \
	then IGNORED="$(IGNORED)" exec $$p -m mnistlib.doctor; fi; done; done; \
	echo 'wrong Python: none of $(CANDIDATES) starts; install Python 3.11 or newer' >&2; exit 1

## clean: delete runs/RUN and all that is in it; asks first
.PHONY: clean
clean:
	@$(FIND); exec "$$python" -m mnistlib.clean

else

# What stands in TODO is executed in this order; the runner leaves a stage alone whose inputs are the same after all.
# Under -j these two run at once, each with its share of the cores: two full teams of threads wait for each other.
SIDE_BY_SIDE := 04_evaluate 05_features
SHARE = $(if $(filter $@,$(SIDE_BY_SIDE)),$(SHARED_THREADS:%=env OMP_NUM_THREADS=% MNISTLIB_WARM=))

.PHONY: all $(GOALS) pages $(STAGES)
all $(GOALS): pages
	$(if $(filter all-mlflow,$@-$(TRACKING)),@exec "$$PYTHON" -m mnistlib.tracking --run $(RUN))
pages: $(TODO)
	@exec "$$PYTHON" -m mnistlib.index --run $(RUN) --answers '$(ANSWERS)'
$(STAGES):
	$(if $(filter $@,$(TODO)),@exec $(SHARE) "$$PYTHON" -m mnistlib.execute $@ --run $(RUN))
02_preprocess: 01_data
03_train: 02_preprocess
04_evaluate 05_features: 02_preprocess 03_train
06_infer: 03_train 04_evaluate

endif
