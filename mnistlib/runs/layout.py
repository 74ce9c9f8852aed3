"""Locate every file of a run: the only module that knows the tree under `runs/`."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT, file_digest, read_json, shown, write_json
from mnistlib.runs.stages import MODEL_FILE, REQUIRED_METRICS, STAGE, TEXT_METRICS

RUNS = ROOT / "runs"
RAW = RUNS / "data" / "raw"
HANDWRITING = RUNS / "handwriting"
RESERVED = {"data", "handwriting", "compare", "bench", "sweeps", "mlflow", "mlflow.db", "index.html"}


def check_run_name(name: str) -> str:
    """Return the name. Raises RunError when it cannot be a folder of its own under runs/."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        allowed = "at most 100 letters, digits, '-', '_' and '.', the first a letter or a digit"
        raise RunError(f"RUN is {name!r}; a run's name is {allowed}")
    if name.lower() in RESERVED:
        raise RunError(f"RUN is {name!r}, a name that runs/ itself uses; choose another")
    return name


@dataclass(frozen=True)
class Place:
    """A file or folder of a run, given relative to the run's folder; on a run it is the whole path."""

    path: str

    def __get__(self, run: Run, kind: type[Run]) -> Path:
        return run.folder / self.path


class NamedPlace(Place):
    """A file for each stage or figure; on a run it is a function from the name to the whole path."""

    def __get__(self, run: Run, kind: type[Run]) -> Callable[[str], Path]:  # type: ignore[override]
        return lambda name: run.folder / self.path.format(name)


@dataclass(frozen=True)
class Run:
    """The files of one run by name, under `base`, else `runs/`. Raises RunError for a name that is not allowed."""

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
    previous = Place("models/previous")  # kept while a new training replaces it
    weights = Place(f"models/{MODEL_FILE}")
    onnx = Place("models/model.onnx")  # for programs without torch; `make export` writes it
    model_json = Place("models/model.json")
    card = Place("models/README.md")  # the model card, beside the model
    history_json = Place("models/history.json")
    teach_json = Place("reports/teach.json")
    calibration_json = Place("models/calibration.json")
    embeddings = Place("reports/embeddings/embeddings.npz")
    tsne = Place("reports/embeddings/tsne.npz")
    test_predictions = Place("reports/test_predictions.npz")
    pad_json = Place("reports/pad.json")  # the network of the front page
    all_metrics = Place("reports/metrics.json")
    index = Place("reports/index.html")
    receipt = Place("receipt.json")  # its inputs and outputs by hash
    verification = Place("status/verification.txt")  # the last report of `make verify`
    summary = Place("status/summary.json")  # the run's line on the page of all runs
    headline = Place("status/headline.txt")  # what make prints at its end
    notebook = NamedPlace("notebooks/{}.ipynb")
    failed_notebook = NamedPlace("notebooks/{}.failed.ipynb")
    page = NamedPlace("reports/{}.html")
    status = NamedPlace("status/{}.json")
    metrics = NamedPlace("metrics/{}.json")
    figure = NamedPlace("reports/figures/{}.png")

    def __post_init__(self) -> None:
        check_run_name(self.name)

    @property
    def folder(self) -> Path:
        return (self.base or RUNS) / self.name

    def params(self) -> Path:
        """Return the file with the parameters that were last asked for."""
        return self.folder / "params" / "params.yaml"

    def input_digests(self, stage: str) -> dict[str, str]:
        """Return the SHA-256 of the present files that a stage reads from earlier ones, by their paths in the run."""
        names = [name for needed in STAGE[stage].needs for name in STAGE[needed].provides]
        return {name: file_digest(self.folder / name) for name in names if (self.folder / name).is_file()}

    def write_metrics(self, stage: str, metrics: dict[str, Any]) -> dict[str, Any]:
        """Write what a stage measured, with the digests of the files that it read.

        Args:
            stage: its name, such as `04_evaluate`.
            metrics: fractions, seconds and bytes as numbers, and the texts of `TEXT_METRICS`; returned to be shown.
        """
        write_json(self.metrics(stage), {**metrics, "read": self.input_digests(stage)})
        return metrics

    def read_metrics(self, stage: str) -> dict[str, Any]:
        """Return what a stage measured. Raises RunError when it has not run, or the file is damaged."""
        measured = read_json(self.metrics(stage), hint=f"run {stage} first")
        measured.pop("read", None)
        for name in REQUIRED_METRICS.get(stage, ()):
            measured.setdefault(name, None)
        for name, value in measured.items():
            if not isinstance(value, (str if name in TEXT_METRICS else int | float)):
                text = f"{shown(self.metrics(stage))} is damaged: {name:.60} is {value!r:.60}"
                what = "not text" if name in TEXT_METRICS else "which is not a number"
                raise RunError(f"{text}, {what}: make all RUN={self.name} measures it again")
        return measured


def leftovers(run: Run) -> Iterator[Path]:
    """List temporary files of the run and of what runs share; `files.remove_stale` deletes those of killed writers."""
    yield from RUNS.glob(".*.part")
    for folder in (run.folder, RAW, HANDWRITING):
        yield from folder.rglob(".*.part")
    yield from run.folder.glob("notebooks/.*.part.ipynb")


def module_cache() -> Path:
    """Return the file in which `fingerprint` caches digests of modules from one command to the next."""
    return RUNS / ".modules.json"


def runs_table_page() -> Path:
    """Return the page of all runs."""
    return RUNS / "index.html"


def tracking_database() -> Path:
    """Return the database in which MLflow keeps runs without a server."""
    return RUNS / "mlflow.db"


def tracking_artifacts() -> Path:
    """Return the folder in which MLflow keeps the files of the runs in its database."""
    return RUNS / "mlflow"


def make_command(run: Run, goal: str) -> str:
    """Return the make command that makes a run up to `goal` again; it names another project where the run is in one."""
    command = f"make {goal} RUN={run.name}"
    return command if run.folder.parent == RUNS else f"{command} in the project that it is of"


def existing_runs() -> list[Run]:
    """Return the runs that hold weights, last trained first; folders with names that no run can have are skipped."""
    found = {}
    for weights in RUNS.glob(f"*/models/{MODEL_FILE}"):
        with suppress(RunError, OSError):
            run = Run(weights.parent.parent.name)
            found[run] = trained_at(run)
    return sorted(found, key=lambda run: found[run], reverse=True)


def trained_at(run: Run) -> str:
    """Return when the run was trained, from its record; without one, when its weights were written."""
    with suppress(RunError):
        return str(read_json(run.status("03_train"), hint="").get("finished", ""))
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.weights.stat().st_mtime))


def nearest_run(name: str) -> str:
    """Return the name of the most similar run; empty when none is near."""
    return next(iter(get_close_matches(name, [run.name for run in existing_runs()], n=1)), "")


def suggestion(name: str) -> str:
    """Return a question with the most similar run, else the names of the newest ten; empty without any run."""
    names = [run.name for run in existing_runs()][:10]
    near = nearest_run(name)
    return f"did you mean {near}?" if near else f"the newest runs are {', '.join(names)}" if names else ""


def existing_run(name: str) -> Run:
    """Return the run of this name. Raises RunError, with a suggestion, when it does not exist."""
    run = Run(name)
    if not run.folder.is_dir():
        hint = suggestion(name)
        raise RunError(f"there is no runs/{name}" + (f"; {hint}" if hint else f": make all RUN={name} makes it"))
    return run


def check_own_files(run: Run) -> None:
    """Raise RunError, naming it, where the run holds anything but files and folders of its own.

    A link in a run from another person would make us write elsewhere. The run's folder itself may be a link.
    """
    folders = [run.folder] if run.folder.is_dir() else []
    while folders:
        try:
            for entry in os.scandir(folders.pop()):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False):
                    path = Path(entry.path)
                    what = f"a link to {str(path.readlink())!r}" if path.is_symlink() else "a FIFO, socket or device"
                    name = path.relative_to(run.folder).as_posix()
                    text = f"{name!r} in it is {what}, which a run must not hold. Delete it first"
                    raise RunError(f"{shown(run.folder)} is not used: {text}")
        except OSError as error:
            raise RunError(f"{shown(run.folder)} cannot be read: {error.strerror} ({error.filename!r})") from error
