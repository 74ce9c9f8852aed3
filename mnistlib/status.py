"""What became of each stage, kept beside the run and told the same way everywhere."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mnistlib.artifacts import always
from mnistlib.files import RunError, bytes_digest, file_digest, write_json, write_text
from mnistlib.modelfile import is_taught
from mnistlib.rundir import Run
from mnistlib.stages import STAGE

OK, FAILED, DIED, TIMED_OUT, INTERRUPTED = "ok", "failed", "died", "timed out", "interrupted"
NOT_RUN, RUNNING, STALE = "not run", "running", "stale"


@dataclass(frozen=True)
class Status:
    """A stage's verdict; `seconds` by phase (start, imports, work, page); `error` in words with its cell;
    `code` the git commit that ran it, and whether files differed; `process` the runner's number and when it began,
    seconds since 1970; `traces` size and time of what it left, to see whether anything else has written there;
    `like` a hash of what its seconds depend on; `machine` on what it ran."""

    stage: str
    verdict: str
    finished: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_bytes: int = 0
    error: str = ""
    cell: int = 0
    code: str = ""
    process: tuple[int, float] = (0, 0.0)
    traces: dict[str, list[int]] = field(default_factory=dict)
    like: str = ""
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def own_seconds(self) -> float:
        """All but the page's, which is not known yet when the page is written."""
        return self.total_seconds - self.seconds.get("page", 0.0)

    @property
    def total_seconds(self) -> float:
        return sum(self.seconds.values())


STATUS = TypeAdapter(Status)


def write_status(run: Run, status: Status) -> None:
    """Keep what became of a stage, with the time of day."""
    write_json(run.status(status.stage), {**asdict(status), "finished": time.strftime("%Y-%m-%d %H:%M:%S")})


def read_status(run: Run, stage: str) -> Status:
    """What became of a stage; `died` when its runner is gone without a last word.

    `not run` when nothing is known: no file, or one that is damaged or of another version.
    """
    try:
        kept = STATUS.validate_json(run.status(stage).read_bytes(), strict=True)
    except (OSError, ValidationError):
        return Status(stage, NOT_RUN)
    if kept.verdict == RUNNING and not is_alive(*kept.process):
        return replace(kept, verdict=DIED, error="its runner was killed, or the machine went down")
    return kept


def present_status(run: Run, stage: str) -> Status:
    """What became of a stage; `stale` where it ended well, but of what it read something has changed since."""
    kept = read_status(run, stage)
    return replace(kept, verdict=STALE) if kept.verdict == OK and is_outdated(run, stage) else kept


def stands(run: Run, stage: str) -> bool:
    """Whether what a stage left may still be told: not where it has failed since, or what it read has changed.

    Of a stage that was run by hand no verdict is known: its files are believed unless what it read is newer.
    """
    verdict = present_status(run, stage).verdict
    return verdict == OK or (verdict == NOT_RUN and is_younger(run, stage))


def is_younger(run: Run, stage: str) -> bool:
    """Whether all that a stage left is as young as all that it read, and that stands, too; so it is of one that left
    nothing."""
    left = times([run.folder / name for name in always(stage)])
    read = times([run.folder / name for needed in needs(run, stage) for name in STAGE[needed].hands_on])
    newest = max(read, default=0)
    return not left or (newest <= min(left) and all(stands(run, needed) for needed in needs(run, stage)))


def times(paths: list[Path]) -> list[int]:
    """When those of the files that are there were changed, in ns since 1970."""
    return [path.stat().st_mtime_ns for path in paths if path.is_file()]


def needs(run: Run, stage: str) -> tuple[str, ...]:
    """The stages that a stage reads from; none in a taught run, where 06 is all that is ever executed."""
    return () if is_taught(run) else STAGE[stage].needs


def is_outdated(run: Run, stage: str) -> bool:
    """Whether make would run an executed stage again: by its own rule, parameters and stamps against the notebook.

    A stamp without a notebook: resolve took it away. What reads from a stage that is not ok is outdated, too.
    """
    notebook = run.notebook(stage)
    if not notebook.is_file():
        return run.handed_on(stage).is_file()
    read = [run.params(stage), *(run.handed_on(name) for name in needs(run, stage))]
    newer = any(time > notebook.stat().st_mtime_ns for time in times(read))
    return newer or any(present_status(run, name).verdict != OK for name in needs(run, stage))


def begin_status(run: Run, stage: str) -> None:
    """Say that this process is at work on the stage: whatever ends it, the last stage's verdict is not taken for it."""
    import psutil

    write_status(run, Status(stage, RUNNING, process=(os.getpid(), psutil.Process().create_time())))


@contextmanager
def undisturbed() -> Iterator[None]:
    """What became of a stage takes a second to be told, and no Ctrl-C or SIGTERM then leaves it untold."""
    kept = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def is_alive(process: int, began: float) -> bool:
    """Whether the process is there and is still the one that began then, not another with its number."""
    import psutil

    try:
        return abs(psutil.Process(process).create_time() - began) < 1
    except psutil.Error:
        return False


def hand_on(run: Run, stage: str) -> None:
    """Stamp what later stages read from this one; the stamp is rewritten only when that has changed."""
    hashes = [f"{name} {file_digest(run.folder / name)}" for name in STAGE[stage].hands_on]
    text = bytes_digest("\n".join(hashes).encode()) + "\n"
    path = run.handed_on(stage)
    if not path.is_file() or path.read_bytes() != text.encode():
        write_text(path, text)


def merged_metrics(run: Run) -> dict[str, Any]:
    """The metrics of all stages that stand, in one flat mapping, later stages last; without those that are damaged."""
    merged: dict[str, Any] = {}
    for stage in (stage for stage in STAGE if stands(run, stage)):
        with suppress(RunError):
            merged.update(run.read_metrics(stage))
    return merged
