"""Obtain the raw dataset and verify it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT, bytes_digest, file_digest, shown, write_json
from mnistlib.core.formatting import dims
from mnistlib.data import idx
from mnistlib.data.datasets import DATASETS, FILES, Dataset, Raw
from mnistlib.data.download import UnreachableError, download
from mnistlib.data.locations import checked_folder, complete, has_local, local_folder, locate, previous_dataset
from mnistlib.runs.layout import RAW, Run
from mnistlib.runs.raw_data import read_raw


def obtain(
    dataset: str,
    source: str = "auto",
    local_dir: str = "",
    raw: Path = RAW,
    mirrors: Sequence[str] | None = None,
    before: Run | None = None,
) -> Raw:
    """Return the dataset from the first source that has it.

    Args:
        dataset: its name in `DATASETS`.
        source: `auto` tries the raw folder, the local folder, the folder that `before` read, a download and, last,
            scikit-learn's digits as a fallback; raw, local, download and digits try that source alone.
        local_dir: folder with the four files; empty means MNIST_DIR.
        raw: folder of downloaded datasets.
        mirrors: addresses for the download; None means torchvision's.
        before: the run that is being made. A run that had a real dataset never takes the fallback.

    Raises:
        RunError: the dataset is unknown or out of reach, or a file is wrong: it is neither used nor replaced.
    """
    if dataset not in DATASETS:
        raise RunError(f"data.dataset is {dataset!r}; choose one of {', '.join(DATASETS)}")
    if dataset == "digits" or source == "digits":
        return load_embedded(fallback=dataset != "digits")
    kept = raw / dataset
    if source == "raw" or (source == "auto" and complete(kept)):
        return read_folder(dataset, "raw", kept)
    if source == "local" or (source == "auto" and has_local(dataset, local_dir)):
        return read_folder(dataset, "local", checked_folder(local_folder(local_dir, dataset)))
    earlier, folder = previous_dataset(before) if before else ("", "")
    if source == "auto" and earlier == dataset and folder and complete(ROOT / folder):
        return read_folder(dataset, "local", ROOT / folder)
    try:
        download(dataset, kept, mirrors)
    except UnreachableError as error:
        if source == "download":
            raise
        check_present(dataset, kept)
        if before and earlier:
            raise RunError(f"{out_of_reach(before, earlier, folder, dataset)}\n{error}") from error
        return load_embedded(fallback=True)
    return read_folder(dataset, "download", kept)


def out_of_reach(run: Run, earlier: str, folder: str, dataset: str) -> str:
    """Explain why a run that was made with the dataset `earlier` does not take the fallback, and what to do."""
    made = f"runs/{run.name} was made with {DATASETS[earlier].title}" + (f" from {folder}" if folder else "")
    names = "MNIST_DIR=folder" if dataset == "mnist" else "SET=data.local_dir=folder"
    back = f"\nSET=data.dataset={earlier} goes back to {DATASETS[earlier].title}." if earlier != dataset else ""
    return (
        f"{made}. {DATASETS[dataset].title} is not there now and cannot be downloaded, so the run is left as it is.\n"
        f"{names} names the folder with the four files.\n"
        f"SET=data.source=digits makes the run with scikit-learn's 1,797 digits instead.{back}"
    )


def read_folder(dataset: str, source: str, folder: Path) -> Raw:
    """Read and check the four files of a folder. Raises RunError that names the file and what to do."""
    found = [locate(folder, name) for name in FILES]
    missing = [name for name, path in zip(FILES, found, strict=True) if path is None]
    if missing:
        hint = "complete the folder or unset MNIST_DIR" if source == "local" else "delete it to download it again"
        raise RunError(f"{shown(folder)} lacks {', '.join(missing)} (.gz or unpacked): {hint}")
    arrays, rows = zip(*(read_file(path, DATASETS[dataset], i) for i, path in enumerate(found) if path), strict=True)
    return Raw(dataset, source, False, shown(folder), list(rows), *arrays)


def check_present(dataset: str, folder: Path) -> None:
    """Raise RunError for a file that is present but wrong: no fallback replaces it silently."""
    for position, name in enumerate(FILES):
        path = locate(folder, name)
        if path is not None:
            read_file(path, DATASETS[dataset], position)


def read_file(path: Path, dataset: Dataset, position: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Return one checked file and its row of provenance. Raises RunError when its checksum differs."""
    if not path.is_file():
        raise RunError(f"{shown(path)} is not a file: put the dataset's file in its place")
    try:
        content = idx.unpack(path)
    except RunError as error:
        expected, found = dataset.md5[position], file_digest(path, "md5")
        raise RunError(f"{error}\n  expected MD5 of the .gz {expected}\n  found    MD5 {found}") from error
    if dataset.sha256:
        kind, expected, found = "SHA-256 unpacked", dataset.sha256[position], bytes_digest(content)
    elif idx.is_packed(path):
        kind, expected, found = "MD5 of the .gz", dataset.md5[position], file_digest(path, "md5")
    else:
        raise RunError(
            f"{shown(path)} is unpacked, but for {dataset.title} only checksums of the .gz files are published: put "
            f"{FILES[position]}.gz in its place"
        )
    if found != expected:
        raise RunError(
            f"{shown(path)} is not {dataset.title}'s {FILES[position]}.\n  expected {kind} {expected}\n"
            f"  found    {kind} {found}\nReplace or remove the file: it is neither used nor overwritten."
        )
    array = idx.parse(content, path.name)
    row = {"file": path.name, "bytes": path.stat().st_size, "shape": dims(array.shape), kind: found}
    return array, row


def load_embedded(fallback: bool) -> Raw:
    """Return scikit-learn's digits, which need no network."""
    from mnistlib.data.sklearn_digits import load_digits

    arrays = load_digits()
    names = ("train images", "train labels", "test images", "test labels")
    files = [
        {
            "file": f"{name} (embedded)",
            "bytes": array.nbytes,
            "shape": dims(array.shape),
            "SHA-256 unpacked": bytes_digest(array.tobytes()),
        }
        for name, array in zip(names, arrays, strict=True)
    ]
    return Raw("digits", "digits", fallback, "scikit-learn", files, *arrays)


def save_raw(run: Run, raw: Raw) -> None:
    """Write to `data/raw.json` which dataset the run uses, for the later stages."""
    keep = {name: getattr(raw, name) for name in ("dataset", "source", "fallback", "folder", "files")}
    write_json(run.raw_json, {**keep, "title": raw.title, "classes": list(raw.classes)})


def load_raw(run: Run) -> Raw:
    """Read the run's dataset again from where 01_data found it.

    Raises:
        RunError: 01_data has not run, or the dataset is gone or has changed.
    """
    kept = read_raw(run, hint="run 01_data first", needed=("dataset", "source", "folder", "files"))
    if kept["source"] == "digits":
        raw = load_embedded(kept.get("fallback", False))
    elif not complete(ROOT / kept["folder"]):
        raise RunError(
            f"{kept['folder']}, where 01_data found {DATASETS[kept['dataset']].title}, no longer holds it: put it "
            "back, or name its new folder in MNIST_DIR (data.local_dir for another dataset), and run make again"
        )
    else:
        raw = read_folder(kept["dataset"], kept["source"], ROOT / kept["folder"])
    if raw.files != kept["files"]:
        raise RunError(f"{kept['folder']} has changed since 01_data read it: re-run 01_data")
    return raw
