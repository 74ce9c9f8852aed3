"""Find where a dataset lies on this machine, without reading or checking it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT, read_json, shown
from mnistlib.data.datasets import DATASETS, FILES
from mnistlib.runs.layout import RAW, Run
from mnistlib.runs.raw_data import read_raw


def better_source_exists(dataset: str, local_dir: str = "", raw: Path = RAW) -> bool:
    """Return whether a run that took the fallback could have its dataset from this machine now.

    Args:
        local_dir: `data.local_dir`; empty means MNIST_DIR.
        raw: folder of downloaded datasets.
    """
    return complete(raw / dataset) or has_local(dataset, local_dir)


def is_available_locally(dataset: str, local_dir: str = "", raw: Path = RAW) -> bool:
    """Return whether all files of a dataset lie on this machine; arguments as for `better_source_exists`."""
    named = local_folder(local_dir, dataset) if has_local(dataset, local_dir) else None
    return complete(raw / dataset) or (named is not None and complete(named))


def raw_files_present(kept: dict[str, Any]) -> bool:
    """Return whether the files that `raw.json` names are there with their sizes; embedded data always are."""
    if kept.get("source") == "digits":
        return True
    folder = ROOT / str(kept.get("folder"))
    paths = [(folder / str(row.get("file")), row.get("bytes")) for row in kept.get("files", [])]
    return bool(paths) and all(path.is_file() and path.stat().st_size == size for path, size in paths)


def previous_dataset(run: Run) -> tuple[str, str]:
    """Return the dataset that a run was made with, and the folder that held it.

    Returns:
        Both empty for a run without a dataset or with scikit-learn's digits; the folder empty where it is unknown.
    """
    for path in (run.raw_json, run.processed / "statistics.json", run.model_json):
        with suppress(RunError):
            hint = "run 01_data first"
            kept = read_raw(run, hint) if path == run.raw_json else read_json(path, hint)
            described = kept.get("training", kept)  # where model.json names it
            dataset = str(described.get("dataset")) if isinstance(described, dict) else ""
            if dataset in DATASETS and dataset != "digits":
                return dataset, str(kept.get("folder", ""))
    return "", ""


def local_folder(local_dir: str, dataset: str = "mnist") -> Path | None:
    """Return the folder that `data.local_dir`, else MNIST_DIR, names, relative to the project's root.

    Returns:
        None when neither is set. If the folder is torchvision's root, the folder below it that holds the dataset.

    Raises:
        RunError: the home folder that ~ stands for is unknown.
    """
    text = local_dir or os.environ.get("MNIST_DIR", "")
    if not text:
        return None
    try:
        folder = Path(os.path.normpath(ROOT / Path(text).expanduser()))
    except RuntimeError as error:
        what = f"MNIST_DIR (or data.local_dir) is {text!r}: the home folder that ~ stands for is not known"
        raise RunError(f"{what}; give the folder's whole path") from error
    below = folder / DATASETS[dataset].torchvision / "raw"
    return below if complete(below) and not complete(folder) else folder


def has_local(dataset: str, local_dir: str) -> bool:
    """Return whether a folder is set for the dataset: `data.local_dir` for any, MNIST_DIR for MNIST alone."""
    return bool(local_dir) or (dataset == "mnist" and local_folder("") is not None)


def checked_folder(folder: Path | None) -> Path:
    """Return a folder that can be listed. Raises RunError that says what MNIST_DIR should hold."""
    if folder is None:
        raise RunError("data.source is 'local', but neither data.local_dir nor MNIST_DIR names a folder")
    try:
        os.listdir(folder)
    except OSError as error:
        text = f"MNIST_DIR (or data.local_dir) is {shown(folder)}, which cannot be read: {error.strerror}"
        raise RunError(f"{text}. It should hold {', '.join(FILES)}, as .gz or unpacked.") from error
    return folder


def complete(folder: Path) -> bool:
    """Return whether all four files are there, right or wrong."""
    return all(locate(folder, name) for name in FILES)


def locate(folder: Path, name: str) -> Path | None:
    """Return an IDX file under one of its common names, or None; a folder of that name is skipped."""
    spellings = (f"{name}.gz", name, name.replace("-idx", ".idx") + ".gz", name.replace("-idx", ".idx"))
    return next((path for s in spellings if (path := folder / s).exists() and not path.is_dir()), None)
