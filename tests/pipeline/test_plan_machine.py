"""Random sequences of changes, touches, copies, losses and crashes: after each make, a run is as made from nothing.

The plan, the records and the commit are the project's own; the kernel is a pure function of what a stage reads.
`PLAN_SEQUENCES=1000` tries more sequences than the usual ones.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from unittest import mock

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mnistlib.core import files
from mnistlib.core.config import DEFAULT
from mnistlib.core.config import load as load_params
from mnistlib.pipeline import commit, plan, resolve
from mnistlib.runs import fingerprint, layout, raw_data, record, stages, state
from mnistlib.runs.layout import Run
from mnistlib.runs.receipt import make_receipt
from mnistlib.runs.record import OK, begin_record, read_record, write_record
from mnistlib.runs.stages import STAGE, required_outputs

NAMES = list(STAGE)
MODULES = {
    "01_data": "a",
    "02_preprocess": "b",
    "03_train": "c",
    "04_evaluate": "d",
    "05_features": "d",
    "06_infer": "c",
}
SETTINGS = {
    "seed": (0, 1),
    "data.samples": (40, 41),
    "preprocess.val_fraction": (0.05, 0.1),
    "train.epochs": (12, 13),
    "evaluate.bins": (15, 16),
    "features.neighbours": (10, 11),
    "infer.examples": (20, 21),
    "execute.timeout": (1800, 1900),
}
GOALS = ("all", "data", "preprocess", "train", "evaluate", "features", "infer")
stage_names = st.sampled_from(NAMES)


class Crash(BaseException):
    """The machine goes down."""


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class Pipeline(RuleBasedStateMachine):
    """A toy project with six notebooks, four modules and one dataset.

    `committed`: what each stage was last made from; `hurt`: the stages whose files are not what they left.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="plan-"))
        self.patches = [
            mock.patch.object(module, name, value)
            for module, name, value in (
                (files, "ROOT", self.root), (fingerprint, "ROOT", self.root), (stages, "ROOT", self.root),
                (plan, "ROOT", self.root), (layout, "RUNS", self.root / "runs"),
                (plan, "HANDWRITING", self.root / "runs" / "handwriting"), (os, "fsync", lambda handle: None),
                (record, "is_alive", lambda process, began: False),
            )
        ]  # fmt: skip
        for patch in self.patches:
            patch.start()
        logging.getLogger("mnistlib").setLevel(logging.CRITICAL)
        self.run, self.asked, self.left = Run("r"), {name: values[0] for name, values in SETTINGS.items()}, -1
        self.modules, self.cells = dict.fromkeys("abcd", 0), dict.fromkeys(NAMES, 0)
        self.committed: dict[str, str] = {}
        self.hurt: set[str] = set()
        for name in "abcd":
            self.write_module(name)
        for name in NAMES:
            self.write_notebook(name)
        self.dataset = self.root / "dataset" / "train-images-idx3-ubyte"
        self.write(self.dataset, "0")

    def teardown(self) -> None:
        for patch in self.patches:
            patch.stop()
        shutil.rmtree(self.root)

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def write_module(self, name: str, comment: str = "") -> None:
        self.write(self.root / "mnistlib" / f"{name}.py", f"{comment}\nX = {self.modules[name]}\n")
        fingerprint.module_digest.cache_clear()
        fingerprint.module_path.cache_clear()

    def write_notebook(self, stage: str) -> None:
        code = f"from mnistlib.{MODULES[stage]} import X  # version\ny = {self.cells[stage]}"
        cell = {"cell_type": "code", "metadata": {}, "source": code, "outputs": [], "execution_count": None}
        self.write(self.root / "notebooks" / f"{stage}.ipynb", json.dumps({"cells": [cell]}))

    # what is asked for, and what would be made of it from nothing

    @property
    def params(self):
        return load_params(DEFAULT, " ".join(f"{name}={value}" for name, value in self.asked.items()))

    def drawings(self) -> dict[str, str]:
        folder = self.root / "runs" / "handwriting"
        return {path.name: path.read_text() for path in sorted(folder.glob("*.json"))}

    def made_from(self, stage: str) -> str:
        """All that the stage is made from, if everything were made from nothing."""
        own = {k: v for k, v in self.asked.items() if k == "seed" or k.partition(".")[0] == STAGE[stage].section}
        outside = {"01_data": self.dataset.read_text(), "04_evaluate": self.drawings()}.get(stage)
        above = [self.content(needed, name) for needed in STAGE[stage].needs for name in STAGE[needed].provides]
        return digest(own, self.cells[stage], self.modules[MODULES[stage]], outside, above)

    def content(self, stage: str, name: str) -> str:
        """What the kernel writes into a file; raw.json tells of the dataset alone, so that a make may stop there."""
        if name == "data/raw.json":
            content = self.dataset.read_text()
            row = {"file": self.dataset.name, "bytes": len(content), "SHA-256 unpacked": digest(content)}
            told = {"dataset": "mnist", "source": "local", "fallback": False, "folder": str(self.dataset.parent)}
            return json.dumps({**told, "files": [row]})
        return json.dumps(digest(name, self.made_from(stage)))

    # what make does

    def execute(self, stage: str) -> bool:
        """The life of a stage, as mnistlib.pipeline.execute leads it; returns whether it ran."""
        if not plan.reasons(self.run, STAGE[stage], self.params):
            return False
        inputs = plan.inputs_now(self.run, STAGE[stage], self.params)
        begun = begin_record(self.run, stage, inputs)
        self.committed.pop(stage, None)
        for name in required_outputs(stage):
            self.whole(self.run.folder / name, self.content(stage, name))
        work = self.run.notebook(stage).with_name(f".{stage}.part.ipynb")
        self.whole(work, "executed")
        outside = raw_data.raw_files(self.run) if stage == "01_data" else inputs.outside
        inputs = record.Inputs(inputs.parameters, inputs.notebook, inputs.code, inputs.reads, outside)
        self.tick()
        commit.finish(self.run, work, record.Record(stage, OK, inputs=inputs, process=begun.process))
        self.committed[stage] = self.made_from(stage)
        self.hurt.discard(stage)
        return True

    def whole(self, path: Path, text: str) -> None:
        self.tick()
        files.write_text(path, text)

    def tick(self) -> None:
        """One more write; the one that was chosen is where the machine goes down."""
        self.left -= 1
        if not self.left:
            raise Crash

    def make(self, goal: str) -> list[str]:
        resolve.write_if_changed(self.run, self.params)
        return [stage for stage in plan.plan(self.run, self.params, goal) if self.execute(stage)]

    def expected(self, goal: str) -> list[str]:
        """The stages that a make has to execute: made from something else, never committed, or hurt since."""
        wanted = plan.stages_of(self.run, goal)
        return [s for s in wanted if self.committed.get(s) != self.made_from(s) or s in self.hurt]

    # actions

    @rule(name=st.sampled_from(list(SETTINGS)), which=st.integers(0, 1))
    def set_a_parameter(self, name, which):
        self.asked[name] = SETTINGS[name][which]

    @rule(stage=stage_names, value=st.integers(0, 2))
    def edit_a_cell(self, stage, value):
        self.cells[stage] = value
        self.write_notebook(stage)

    @rule(name=st.sampled_from("abcd"), value=st.integers(0, 2), comment=st.sampled_from(["", "# why", "# because"]))
    def edit_a_module(self, name, value, comment):
        self.modules[name] = value
        self.write_module(name, comment)

    @rule(value=st.sampled_from("012"))
    def change_the_dataset(self, value):
        self.write(self.dataset, value)

    @rule(name=st.sampled_from("xy"), value=st.sampled_from(["", "{}", "[]"]))
    def draw_or_take_a_drawing_away(self, name, value):
        path = self.root / "runs" / "handwriting" / f"{name}.json"
        self.write(path, value)
        if not value:
            path.unlink()

    @rule(when=st.floats(1, 4e9))
    def touch_everything(self, when):
        before = plan.plan(self.run, self.params, "all")
        for path in self.root.rglob("*"):
            if path.is_file():
                os.utime(path, (when, when))
        assert plan.plan(self.run, self.params, "all") == before

    @rule(data=st.data(), way=st.sampled_from(["flip", "delete", "flip and keep size and time"]))
    def hurt_an_output(self, data, way):
        done = [s for s in NAMES if read_record(self.run, s).verdict == OK]
        if not done:
            return
        stage = data.draw(st.sampled_from(done))
        name = data.draw(st.sampled_from([n for n in required_outputs(stage) if not n.startswith("data/inference/")]))
        path = self.run.folder / name
        if not path.is_file():
            return
        if way == "delete":
            path.unlink()
        else:
            stat, content = path.stat(), bytearray(path.read_bytes())
            content[1] = (content[1] + 1) % 128  # never back to what it was, in so few steps
            path.write_bytes(bytes(content))
            if "keep" in way:
                os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        self.hurt.add(stage)

    @rule(stage=stage_names, damage=st.sampled_from(["gone", "garbage", "failed"]))
    def damage_a_record(self, stage, damage):
        path = self.run.status(stage)
        if not path.is_file():
            return
        if damage == "gone":
            path.unlink()
        elif damage == "garbage":
            path.write_bytes(path.read_bytes()[:-9])
        else:
            write_record(self.run, record.Record(stage, record.FAILED))
        self.committed.pop(stage, None)

    @rule(times=st.booleans())
    def move_on_with_a_copy(self, times):
        """`cp -r` of the run, with times or without, under another name."""
        if not self.run.folder.is_dir():
            return
        before = plan.plan(self.run, self.params, "all")
        name = "copy" if self.run.name == "r" else "r"
        shutil.rmtree(Run(name).folder, ignore_errors=True)
        shutil.copytree(self.run.folder, Run(name).folder, copy_function=shutil.copy2 if times else shutil.copyfile)
        self.run = Run(name)
        assert plan.plan(self.run, self.params, "all") == before

    @rule(goal=st.sampled_from(GOALS))
    def make_a_goal(self, goal):
        expected = self.expected(goal)
        todo = plan.plan(self.run, self.params, goal)
        executed = self.make(goal)
        assert executed == expected
        assert {stage for stage, why in todo.items() if why} <= set(executed) <= set(todo)
        assert self.make(goal) == []
        self.check_made(goal)

    @rule(goal=st.sampled_from(GOALS), after=st.integers(1, 12))
    def go_down_in_a_make(self, goal, after):
        self.left = after
        with suppress(Crash):
            self.make(goal)
        self.left = -1
        for stage in NAMES:
            if stage not in self.committed:
                assert read_record(self.run, stage).verdict != OK

    # what must hold

    def check_made(self, goal: str) -> None:
        """The goal's files are just what would be made from nothing, and the receipt tells what they were made with."""
        for stage in plan.stages_of(self.run, goal):
            for name in required_outputs(stage):
                assert (self.run.folder / name).read_text() == self.content(stage, name)
        ok = [one for one in state.current_records(self.run).values() if one.verdict == OK]
        assert {one.stage for one in ok} >= set(plan.stages_of(self.run, goal))
        with mock.patch.object(Run, "read_metrics", lambda run, stage: {}):
            kept = make_receipt(self.run, ok)
        for one in ok:
            section = STAGE[one.stage].section
            ours = {k: v for k, v in one.inputs.parameters.items() if k != "seed"}
            assert kept.parameters[section] | ours == kept.parameters[section]

    @invariant()
    def looking_changes_nothing(self):
        files_before = {path: path.stat().st_mtime_ns for path in self.root.rglob("*") if path.is_file()}
        plan.plan(self.run, self.params, "all")
        assert {path: path.stat().st_mtime_ns for path in self.root.rglob("*") if path.is_file()} == files_before


def test_after_any_sequence_of_changes_a_make_leaves_what_it_would_make_from_nothing():
    run_state_machine_as_test(
        Pipeline,
        settings=settings(
            max_examples=int(os.environ.get("PLAN_SEQUENCES", "12")), stateful_step_count=25, deadline=None,
            phases=[Phase.generate, *([Phase.shrink] if "PLAN_SEQUENCES" in os.environ else [])],
            suppress_health_check=list(HealthCheck), print_blob=True, derandomize="PLAN_SEQUENCES" not in os.environ,
        ),
    )  # fmt: skip
