"""Read and replace a model's two files: the weights, and `models/model.json`, which describes them."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

from mnistlib.core.errors import RunError
from mnistlib.core.files import bytes_digest, read_json, read_regular, shown, write_bytes
from mnistlib.core.json_checks import between, is_digest, is_text, list_of, one_of, with_new_names, wrong_fields
from mnistlib.runs.layout import Run, check_run_name, make_command

FORMAT = 4
LARGEST_WEIGHTS = 2_000_000_000  # bytes
share = between(0, 1)
ARCHITECTURE = {  # bounds as in config_schema.Train; mean and standard deviation of pixels in 0…1
    "widths": list_of(between(1, 1024, int), most=3, least=3),
    "kernels": list_of(between(1, 15, int), most=3, least=3),
    "pooling": list_of(one_of("stride", "max", "none"), most=3, least=3),
    "hidden": between(2, 4096, int),
    "classes": between(2, 100, int),
    "dropout": between(0, 0.999),
    "mean": share,
    "std": between(0.001, 1),
}
DISTORTION = {"rotate": between(0, 180)} | dict.fromkeys(
    ("shear", "scale", "shift", "undistorted", "background"), share
)
TRAINING = {
    "dataset": is_text,
    "seed": between(0, 2**31, int),
    "epochs": between(0, 1000, int),
    "pictures": between(0, 10**9, int),
    "distortion": lambda value: isinstance(value, dict) and not wrong_fields(value, DISTORTION, optional=True),
    "fine_tuned_from": is_text,
    "drawings_learned": between(0, 10**9, int),
}
DESCRIBED = {
    "weights_sha256": is_digest,
    "architecture": lambda value: isinstance(value, dict) and not wrong_fields(value, ARCHITECTURE),
    "input": is_text,
    "classes": list_of(between(0, 100, int), most=100),
    "parameters": between(0, 10**9, int),
    "training": lambda value: (
        isinstance(value, dict) and not wrong_fields(with_new_names(value), TRAINING, optional=True)
    ),
}
BOUND = [name for name in DESCRIBED if name != "training"]  # what a prediction depends on


def with_digest(described: dict[str, Any]) -> dict[str, Any]:
    """Return a description with the digest that binds weights, architecture and preprocessing; calibration names it."""
    bound = {name: described.get(name) for name in BOUND}
    return described | {"digest": bytes_digest(json.dumps(bound, sort_keys=True).encode())}


def read_description(run: Run) -> dict[str, Any]:
    """Read `model.json`: architecture, preprocessing, classes, training, and the SHA-256 of the weights.

    Raises:
        RunError: it is missing, damaged or of another format.
    """
    described = read_json(run.model_json, hint=retrain_advice(run))
    if described.get("format") != FORMAT:
        found = f"{described.get('format')!r:.20}, expected {FORMAT}"
        raise RunError(f"{shown(run.model_json)} has format {found}: {retrain_advice(run)}")
    wrong = wrong_fields(described, DESCRIBED | {"format": one_of(FORMAT), "digest": is_digest})
    if not wrong and described != with_digest(described):
        wrong = ["digest, which belongs to another description"]
    if wrong:
        raise RunError(f"{shown(run.model_json)} is damaged at {', '.join(wrong)}: {retrain_advice(run)}")
    return described


def weights_bytes(run: Run, expected: str) -> bytes:
    """Read the file of the weights.

    Args:
        expected: the file's SHA-256 in hexadecimal.

    Raises:
        RunError: the file is missing, or has another SHA-256.
    """
    if not run.weights.is_file():
        raise RunError(f"{shown(run.weights)} is missing: {retrain_advice(run)}")
    try:
        weights = read_regular(run.weights, LARGEST_WEIGHTS)
    except OSError as error:
        raise RunError(f"{shown(run.weights)} cannot be read ({error}): {retrain_advice(run)}") from error
    found = bytes_digest(weights)
    if found != expected:
        text = f"{shown(run.weights)} is damaged: SHA-256 {found}, model.json says {expected}"
        raise RunError(f"{text}: {retrain_advice(run)}")
    return weights


def read_weights(run: Run, expected: str) -> Any:
    """Load the weights without running any code from the file.

    Args:
        expected: the file's SHA-256 in hexadecimal.

    Returns:
        Tensors on the CPU by the names of their layers.

    Raises:
        RunError: the file is missing, has another SHA-256, or does not hold weights.
    """
    import torch  # the description alone is read without it

    weights = weights_bytes(run, expected)
    try:
        return torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise RunError(
            f"{shown(run.weights)} holds more than weights and was not loaded: {retrain_advice(run)}"
        ) from error
    except Exception as error:  # torch raises many kinds for damaged files
        text = f"{shown(run.weights)} holds no weights ({type(error).__name__})"
        raise RunError(f"{text}: {retrain_advice(run)}") from error


def replace_file(run: Run, path: Path, content: bytes) -> None:
    """Write weights or calibration; if they differ from before, the export made from them is deleted first."""
    if not path.is_file() or path.read_bytes() != content:
        run.onnx.unlink(missing_ok=True)
    write_bytes(path, content)


def is_fine_tuned(run: Run) -> bool:
    """Return whether `make teach` made the run; no stage may train its model again."""
    try:
        training = read_json(run.model_json, hint="").get("training")
    except RunError:
        training = None
    return run.teach_json.is_file() or (isinstance(training, dict) and "fine_tuned_from" in with_new_names(training))


def check_made_by_make(run: Run) -> None:
    """Raise RunError for a model without params/params.yaml: it was made by hand, in notebooks."""
    if run.weights.is_file() and not run.params().is_file():
        raise RunError(
            f"runs/{run.name} was made by hand, in notebooks, and holds no params/params.yaml, which make needs: go on "
            f'in JupyterLab (run = "{run.name}"; 06_infer recognises pictures), or make all RUN={run.name} PARAMS=… '
            "trains again and replaces its model"
        )


def retrain_advice(run: Run) -> str:
    """Return the command that makes weights and description again."""
    if is_fine_tuned(run):
        return f"fine-tune it again with make teach RUN={base_run(run)}"
    return f"re-run 03_train ({make_command(run, 'train')})"


def recalibrate_advice(run: Run) -> str:
    """Return the command that calibrates the present weights."""
    if not is_fine_tuned(run):
        return f"{make_command(run, 'evaluate')} calibrates it again"
    return f"fine-tune it again with make teach RUN={base_run(run)}"


def base_run(run: Run) -> str:
    """Return the name of the run that a fine-tuned one started from; … where it is unknown."""
    try:
        return check_run_name(str(with_new_names(read_json(run.model_json, hint="")["training"])["fine_tuned_from"]))
    except (RunError, KeyError, TypeError, AttributeError):
        return "…"
