"""What `models/model.json` says of the weights beside it."""

from __future__ import annotations

from mnistlib.files import RunError, read_json, shown
from mnistlib.rundir import Run


def weights_digest(run: Run) -> str:
    """The SHA-256 of the run's weights. Raises RunError when `model.json` is missing or names none."""
    named = read_json(run.model_json, hint="re-run 03_train").get("weights_sha256")
    if not isinstance(named, str):
        raise RunError(f"{shown(run.model_json)} is damaged: without weights_sha256: re-run 03_train")
    return named


def calibrated_anew(run: Run) -> str:
    """What to do for a calibration of the weights that the run has now."""
    return (
        "teach it anew with make teach" if run.teach_json.is_file() else f"make evaluate RUN={run.name} finds it anew"
    )
