"""The machine of test_plan_machine notices, always, a plan that goes by file times: a fixed sequence of its own rules.

Each planted plan is one that a build tool has: by the time of a file, by size and time, by what is newer than what.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from mnistlib.core.config_schema import Params
from mnistlib.pipeline import plan
from mnistlib.runs import layout, record
from mnistlib.runs.layout import Run
from mnistlib.runs.stages import STAGE, Stage, required_outputs
from tests.pipeline.test_plan_machine import Pipeline

Patch = pytest.MonkeyPatch
PAST, FUTURE = 1e9, 4e9  # seconds since 1970


class Chosen:
    """Stands for hypothesis' `data`: draws what was written down."""

    def __init__(self, *values: str) -> None:
        self.values = list(values)

    def draw(self, strategy: Any) -> str:
        return self.values.pop(0)


def hurt(machine: Pipeline, way: str) -> None:
    machine.hurt_an_output(data=Chosen("05_features", "reports/embeddings/tsne.npz"), way=way)


def make(machine: Pipeline) -> None:
    machine.make_a_goal(goal="all")


STEPS: dict[str, Callable[[Pipeline], None]] = {
    "make from nothing": make,
    "touch into the past": lambda machine: machine.touch_everything(when=PAST),
    "make once touched": make,
    "touch into the future": lambda machine: machine.touch_everything(when=FUTURE),
    "change a parameter": lambda machine: machine.set_a_parameter(name="features.neighbours", which=1),
    "make with the parameter": make,
    "change a module": lambda machine: machine.edit_a_module(name="d", value=1, comment=""),
    "make with the module": make,
    "change an output": lambda machine: hurt(machine, "flip and keep size and time"),
    "make with the output": make,
    "copy without times": lambda machine: machine.move_on_with_a_copy(times=False),
    "make the copy": make,
}


def time_is_the_digest(patch: Patch) -> None:
    """An output is another once it was touched since it was first looked at."""
    times: dict[tuple[Any, ...], int] = {}

    def lost(run: Any, kept: Any) -> list[str]:
        paths = {name: run.folder / name for name in kept.outputs if (run.folder / name).is_file()}
        now = {(path, kept.outputs[name].sha256): path.stat().st_mtime_ns for name, path in paths.items()}
        return [f"{key[0].name} was changed" for key, time in now.items() if times.setdefault(key, time) != time]

    patch.setattr(plan, "lost_outputs", lost)


def size_and_time_spare_the_digest(patch: Patch) -> None:
    """A file is read again once its size or time is another."""
    known: dict[tuple[Any, ...], str] = {}

    def digest(path: Any) -> str:
        stat = path.stat()
        key = (path, stat.st_size, stat.st_mtime_ns)
        if key not in known:
            known[key] = hashlib.sha256(path.read_bytes()).hexdigest()
        return known[key]

    for module in (plan, record, layout):
        patch.setattr(module, "file_digest", digest)


def newer_is_stale(patch: Patch) -> None:
    """A stage runs when something that it reads is newer than something that it left."""

    def reasons(run: Run, stage: Stage, params: Params, unsettled: Any = ()) -> list[str]:
        left = [run.folder / name for name in required_outputs(stage.name)]
        if not all(path.is_file() for path in (*left, run.status(stage.name))):
            return ["is missing"]
        read = [run.folder / name for needed in stage.needs for name in STAGE[needed].provides]
        read += [run.params(), stage.notebook]
        newest = max(path.stat().st_mtime_ns for path in read)
        return ["is older"] if newest > min(path.stat().st_mtime_ns for path in left) else []

    patch.setattr(plan, "reasons", reasons)


def failing_step(plant: Callable[[Patch], None], monkeypatch: Patch) -> str:
    """The first step of the sequence that the machine fails at; empty where it passes the whole sequence."""
    machine = Pipeline()
    try:
        plant(monkeypatch)
        for name, step in STEPS.items():
            try:
                step(machine)
                machine.looking_changes_nothing()
            except AssertionError:
                return name
        return ""
    finally:
        machine.teardown()


def test_the_plan_passes_the_sequence(monkeypatch):
    assert failing_step(lambda patch: None, monkeypatch) == ""


@pytest.mark.parametrize(
    ("plant", "step"),
    [
        (time_is_the_digest, "touch into the past"),
        (size_and_time_spare_the_digest, "make with the output"),
        (newer_is_stale, "make with the parameter"),
    ],
)
def test_the_sequence_notices_a_plan_that_goes_by_times(monkeypatch, plant, step):
    assert failing_step(plant, monkeypatch) == step
