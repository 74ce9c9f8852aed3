"""Where everything lies: the one module that knows the tree under `runs/`."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT, file_digest, read_json, shown, write_json
from mnistlib.runs.stages import IN_WORDS, MEASURES, MODEL_FILE, STAGE

RUNS = ROOT / "runs"
RAW = RUNS / "data" / "raw"
HANDWRITING = RUNS / "handwriting"
TAKEN = {"data", "handwriting", "compare", "bench", "sweeps", "mlflow", "mlflow.db", "index.html"}


def check_run_name(name: str) -> str:
    """The name itself. Raises RunError when it could not be a folder of its own under runs/."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise RunError(
            f"RUN is {name!r}; a run's name is made of letters, digits, '-', '_' and '.', not first '.', 100 at most"
        )
    if name.lower() in TAKEN:
        raise RunError(f"RUN is {name!r}, which runs/ uses for something else; choose another name")
    return name


class Place:
    """A file or folder of a run, by its path in the run's folder; read from a run, the whole path."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __get__(self, run: Run, kind: type[Run]) -> Path:
        return run.folder / self.path


@dataclass(frozen=True)
class Run:
    """One run's files by name, under runs/ or another `base`. Raises RunError for a name that cannot be one."""

    name: str
    base: Path | None = None

    log = Place("run.log")
    raw_json = Place("data/raw.json")
    validation_json = Place("reports/data_validation.json")
    processed = Place("data/processed")
    inference = Place("data/inference")
    drawings = Place("data/inference/drawings")
    checkpoints = Place("checkpoints")
    models = Place("models")
    previous = Place("models/previous")  # the model that a new training replaces, until that has ended well
    weights = Place(f"models/{MODEL_FILE}")
    onnx = Place("models/model.onnx")  # the network for programs without torch; `make export` writes it
    model_json = Place("models/model.json")
    card = Place("models/README.md")  # the model card, beside the model
    history_json = Place("models/history.json")
    teach_json = Place("reports/teach.json")
    calibration_json = Place("models/calibration.json")
    embeddings = Place("reports/embeddings/embeddings.npz")
    tsne = Place("reports/embeddings/tsne.npz")
    test_predictions = Place("reports/test_predictions.npz")
    pad_json = Place("reports/pad.json")  # what the front page recognises drawings with
    all_metrics = Place("reports/metrics.json")
    index = Place("reports/index.html")
    receipt = Place("receipt.json")  # what the run was made of, and what it left, by hash
    verification = Place("status/verification.txt")  # what `make verify` said last, line by line
    summary = Place("status/summary.json")  # the run's line on the page of all runs
    headline = Place("status/headline.txt")  # what make prints at the end

    def __post_init__(self) -> None:
        check_run_name(self.name)

    @property
    def folder(self) -> Path:
        return (self.base or RUNS) / self.name

    def params(self) -> Path:
        """What was last asked for."""
        return self.folder / "params" / "params.yaml"

    def notebook(self, stage: str) -> Path:
        return self.folder / "notebooks" / f"{stage}.ipynb"

    def failed_notebook(self, stage: str) -> Path:
        return self.folder / "notebooks" / f"{stage}.failed.ipynb"

    def page(self, stage: str) -> Path:
        return self.folder / "reports" / f"{stage}.html"

    def status(self, stage: str) -> Path:
        return self.folder / "status" / f"{stage}.json"

    def metrics(self, stage: str) -> Path:
        return self.folder / "metrics" / f"{stage}.json"

    def figure(self, name: str) -> Path:
        return self.folder / "reports" / "figures" / f"{name}.png"

    def write_metrics(self, stage: str, metrics: dict[str, Any]) -> dict[str, Any]:
        """Keep what a stage measured (fractions, seconds, bytes), with the digests of the files that it read; returns
        what was measured, to be shown."""
        names = [name for needed in STAGE[stage].needs for name in STAGE[needed].provides]
        read = {name: file_digest(self.folder / name) for name in names if (self.folder / name).is_file()}
        write_json(self.metrics(stage), {**metrics, "read": read})
        return metrics

    def read_metrics(self, stage: str) -> dict[str, Any]:
        """What a stage measured. Raises RunError when it has not run, or the file is damaged."""
        measured = read_json(self.metrics(stage), hint=f"run {stage} first")
        measured.pop("read", None)
        for name in MEASURES.get(stage, ()):
            measured.setdefault(name, None)
        for name, value in measured.items():
            if not isinstance(value, (str if name in IN_WORDS else int | float)):
                text = f"{shown(self.metrics(stage))} is damaged: {name:.60} is {value!r:.60}"
                what = "not text" if name in IN_WORDS else "which is no number"
                raise RunError(f"{text}, {what}: make all RUN={self.name} measures it again")
        return measured


def leftovers(run: Run) -> Iterator[Path]:
    """Temporary files in the run and in what all runs share: `files.sweep` takes away those of killed writers."""
    yield from RUNS.glob(".*.part")
    for folder in (run.folder, RAW, HANDWRITING):
        yield from folder.rglob(".*.part")
    yield from run.folder.glob("notebooks/.*.part.ipynb")


def module_cache() -> Path:
    """What `source` keeps of the package's modules from one command to the next."""
    return RUNS / ".modules.json"


def runs_table_page() -> Path:
    """The page of all runs."""
    return RUNS / "index.html"


def tracking_database() -> Path:
    """Where MLflow keeps runs unless it is told of a server."""
    return RUNS / "mlflow.db"


def tracking_artifacts() -> Path:
    """Where MLflow keeps the files of runs that stand in its database here."""
    return RUNS / "mlflow"


def make_again(run: Run, goal: str) -> str:
    """Return the command that makes a run up to `goal` again; it says so where the run lies in another project."""
    command = f"make {goal} RUN={run.name}"
    return command if run.folder.parent == RUNS else f"{command} in the project that it is of"


def temporary_run(name: str) -> Run:
    """A new run, its folder made, with a name that no other run has, now or at the same moment."""
    RUNS.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name[:80]}-", dir=RUNS))
    folder.chmod(0o755)
    return Run(folder.name)


def existing_runs() -> list[Run]:
    """Runs that hold weights, those trained last first; folders that no run could be, or that go, are passed over."""
    found = {}
    for weights in RUNS.glob(f"*/models/{MODEL_FILE}"):
        with suppress(RunError, OSError):
            run = Run(weights.parent.parent.name)
            found[run] = trained_at(run)
    return sorted(found, key=lambda run: found[run], reverse=True)


def trained_at(run: Run) -> str:
    """When the run was trained, by its record; for one trained by hand, when its weights were written."""
    with suppress(RunError):
        return str(read_json(run.status("03_train"), hint="").get("finished", ""))
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.weights.stat().st_mtime))


def nearest(name: str) -> str:
    """Return the name of the run that is most like this one; empty when none is near."""
    return next(iter(get_close_matches(name, [run.name for run in existing_runs()], n=1)), "")


def suggestion(name: str) -> str:
    """Return the question after a run that is near, or the newest ten names where none is; empty without any run."""
    names = [run.name for run in existing_runs()][:10]
    near = nearest(name)
    return f"did you mean {near}?" if near else f"the newest runs are {', '.join(names)}" if names else ""


def existing(name: str) -> Run:
    """Return the run of this name. Raises RunError, with the names that may have been meant, when it is not there."""
    run = Run(name)
    if not run.folder.is_dir():
        hint = suggestion(name)
        raise RunError(f"there is no runs/{name}" + (f"; {hint}" if hint else f": make all RUN={name} makes it"))
    return run


def check_own_files(run: Run) -> None:
    """Raise RunError, naming it, where the run holds anything but files and folders of its own.

    A link in a run from another person would have make write somewhere else. The run's folder itself may be one.
    """
    folders = [run.folder] if run.folder.is_dir() else []
    while folders:
        try:
            for entry in os.scandir(folders.pop()):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False):
                    raise RunError(foreign(run, Path(entry.path)))
        except OSError as error:
            raise RunError(f"{shown(run.folder)} cannot be read: {error.strerror} ({error.filename!r})") from error


def foreign(run: Run, path: Path) -> str:
    """Return in words what is wrong with an entry of a run, and what to do."""
    what = f"a link to {str(path.readlink())!r}" if path.is_symlink() else "a FIFO, a socket or a device"
    name = path.relative_to(run.folder).as_posix()
    return f"{shown(run.folder)} is not used: {name!r} in it is {what}, and a run has files of its own. Delete it first"


def make_writable(run: Run) -> None:
    """Make the run's folder. Raises RunError, before anything is touched, where something in it cannot be written."""
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write {shown(run.folder)}: {error.strerror}. Is runs/ writable?") from error
    folders = [run.folder, *run.folder.glob("*/"), *run.folder.glob("*/*/")]
    for path in (*folders, run.log, run.folder / ".lock"):
        if path.exists() and not os.access(path, os.W_OK):
            kind = "folder" if path.is_dir() else "file"
            raise RunError(f"cannot write {shown(path)}: the {kind} or its file system is read-only, or not yours")
