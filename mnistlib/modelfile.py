"""A model's two files, `models/model.json` and the weights that it describes: how they are read, and replaced."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

from mnistlib.files import RunError, bytes_digest, read_json, shown, write_bytes
from mnistlib.rundir import Run, check_run_name, make_again

FORMAT = 3
DESCRIBED = {"weights_sha256": str, "architecture": dict, "training": dict, "parameters": int}


def read_description(run: Run) -> dict[str, Any]:
    """What `model.json` says. Raises RunError when it is missing, damaged or of another format."""
    described = read_json(run.model_json, hint="re-run 03_train")
    if described.get("format") != FORMAT:
        raise RunError(
            f"{shown(run.model_json)} has format {described.get('format')!r}, expected {FORMAT}: re-run 03_train"
        )
    wrong = [name for name, kind in DESCRIBED.items() if not isinstance(described.get(name), kind)]
    if wrong:
        raise RunError(f"{shown(run.model_json)} is damaged at {', '.join(wrong)}: re-run 03_train")
    return described


def weights_bytes(run: Run, expected: str) -> bytes:
    """The content of the weights' file. Raises RunError when it is missing or has not the SHA-256 that is expected."""
    if not run.weights.is_file():
        raise RunError(f"{shown(run.weights)} is missing: re-run 03_train")
    weights = run.weights.read_bytes()
    found = bytes_digest(weights)
    if found != expected:
        text = f"{shown(run.weights)} is damaged: SHA-256 {found}, model.json says {expected}"
        raise RunError(f"{text}: delete it to re-run 03_train")
    return weights


def read_weights(run: Run, expected: str) -> Any:
    """The weights by the names of their layers, read without running any code of the file's.

    Raises RunError when the file is missing, has not the SHA-256 that is expected, or holds something else.
    """
    import torch  # who reads the description alone does not wait for it

    weights = weights_bytes(run, expected)
    try:
        return torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise RunError(
            f"{shown(run.weights)} holds more than weights and was not loaded: delete it to re-run 03_train"
        ) from error
    except Exception as error:  # whatever torch makes of a file that is none of ours
        text = f"{shown(run.weights)} holds no weights ({type(error).__name__})"
        raise RunError(f"{text}: delete it to re-run 03_train") from error


def replace_part(run: Run, path: Path, content: bytes) -> None:
    """Write weights or calibration; where they are others than before, the export that was made of them goes first."""
    if not path.is_file() or path.read_bytes() != content:
        run.onnx.unlink(missing_ok=True)
    write_bytes(path, content)


def is_taught(run: Run) -> bool:
    """Whether `make teach` made the run: no stage may train its model anew."""
    try:
        training = read_json(run.model_json, hint="").get("training")
    except RunError:
        training = None
    return run.teach_json.is_file() or (isinstance(training, dict) and "taught_from" in training)


def check_made_by_make(run: Run) -> None:
    """Raises RunError for a model without the parameters that make keeps: it was made by hand."""
    if run.weights.is_file() and not run.params().is_file():
        raise RunError(
            f"runs/{run.name} was made by hand, in notebooks, and holds no params/params.yaml, which make needs: go on "
            f'in JupyterLab (run = "{run.name}"; 06_infer recognises pictures), or make all RUN={run.name} PARAMS=… '
            "trains it anew, over its model"
        )


def calibrated_anew(run: Run) -> str:
    """What to do for a calibration of the weights that the run has now."""
    if not is_taught(run):
        return f"{make_again(run, 'evaluate')} finds it anew"
    return f"teach it anew with make teach RUN={taught_from(run)}"


def taught_from(run: Run) -> str:
    """Return the name of the run that a fine-tuned one learnt from; … where that is not known."""
    try:
        return check_run_name(str(read_json(run.model_json, hint="")["training"]["taught_from"]))
    except (RunError, KeyError, TypeError):
        return "…"
