"""Keep the model that a new training replaces in `models/previous/`, and put it back if the new one fails.

A model is complete once 04 has calibrated it. If 04 of a new model fails, the two change places, so that the run
predicts as before. The next make restores the newer model, so its training is not lost.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from mnistlib.core.files import file_digest, link_or_copy
from mnistlib.runs.layout import Run
from mnistlib.runs.record import OK, read_record
from mnistlib.runs.stages import MODEL_FILE
from mnistlib.runs.state import current_records

MODEL = (MODEL_FILE, "model.json", "calibration.json")
BESIDE = ("models/history.json", "metrics/03_train.json", "metrics/04_evaluate.json")


def keep(run: Run) -> None:
    """Keep the run's complete model before 03 trains another; one that is kept already stays."""
    if run.previous.is_dir() or not all((run.models / name).is_file() for name in MODEL):
        return
    part = run.models / ".previous.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for path in (*(run.models / name for name in MODEL), *(run.folder / name for name in BESIDE)):
        if path.is_file():
            link_or_copy(path, part / path.name)
    part.rename(run.previous)


def restore(run: Run, stage: str) -> bool:
    """Restore the kept model after a failed 03 or 04; return whether there was one."""
    if not run.previous.is_dir():
        return False
    for name in MODEL:
        exchange(run.models / name, run.previous / name, keep_first=stage == "04_evaluate")
    return True


def exchange(here: Path, there: Path, keep_first: bool = True) -> None:
    """Move the file `there` to `here`; `keep_first` moves the first one `there`."""
    if not there.is_file() or (here.is_file() and file_digest(here) == file_digest(there)):
        return
    spare = there.with_name(f".{there.name}.spare")
    spare.unlink(missing_ok=True)
    link_or_copy(here if keep_first and here.is_file() else there, spare)
    there.replace(here)
    spare.replace(there)


def reconcile(run: Run) -> None:
    """Restore the newer model if its 04 failed; delete the kept one once 03 and 04 are current without it."""
    if not run.previous.is_dir():
        return
    outputs = read_record(run, "03_train").outputs
    for name in MODEL:
        here, there, trained = run.models / name, run.previous / name, outputs.get(f"models/{name}")
        if trained and there.is_file() and file_digest(there) == trained.sha256:
            exchange(here, there)
    found = current_records(run)
    if all(found[stage].verdict == OK for stage in ("03_train", "04_evaluate")):
        shutil.rmtree(run.previous)
