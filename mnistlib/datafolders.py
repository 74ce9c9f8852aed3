"""Where a dataset may lie on this machine, and whether it does: neither read nor checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mnistlib.catalogue import FILES
from mnistlib.files import ROOT, RunError, shown
from mnistlib.rundir import RAW


def better_source_exists(dataset: str, local_dir: str = "", raw: Path = RAW) -> bool:
    """Whether a run that had to use the fallback could have its dataset now, from this machine."""
    return complete(raw / dataset) or has_local(dataset, local_dir)


def lies_here(dataset: str, local_dir: str = "", raw: Path = RAW) -> bool:
    """Whether all its files lie on this machine, in one of the folders that are looked into."""
    named = local_folder(local_dir) if has_local(dataset, local_dir) else None
    return complete(raw / dataset) or (named is not None and complete(named))


def is_where_it_was(kept: dict[str, Any]) -> bool:
    """Whether the files that `raw.json` names lie there still, as large as they were; embedded ones do."""
    if kept.get("source") == "digits":
        return True
    paths = [(Path(str(kept.get("folder"))) / str(row.get("file")), row.get("bytes")) for row in kept.get("files", [])]
    return bool(paths) and all(path.is_file() and path.stat().st_size == size for path, size in paths)


def local_folder(local_dir: str) -> Path | None:
    """`data.local_dir`, else MNIST_DIR, relative to the project's root; None when neither is set. Raises RunError."""
    text = local_dir or os.environ.get("MNIST_DIR", "")
    try:
        return Path(os.path.normpath(ROOT / Path(text).expanduser())) if text else None
    except RuntimeError as error:
        what = f"MNIST_DIR (or data.local_dir) is {text!r}: the home folder that ~ stands for is not known"
        raise RunError(f"{what}; give the folder's whole path") from error


def has_local(dataset: str, local_dir: str) -> bool:
    """Whether a folder was named for the dataset: by `data.local_dir` for any, by MNIST_DIR for MNIST alone."""
    return bool(local_dir) or (dataset == "mnist" and local_folder("") is not None)


def checked_folder(folder: Path | None) -> Path:
    """A folder that can be listed. Raises RunError that says what MNIST_DIR should hold."""
    if folder is None:
        raise RunError("data.source is 'local', but neither data.local_dir nor MNIST_DIR names a folder")
    try:
        os.listdir(folder)
    except OSError as error:
        text = f"MNIST_DIR (or data.local_dir) is {shown(folder)}, which cannot be read: {error.strerror}"
        raise RunError(f"{text}. It should hold {', '.join(FILES)}, as .gz or unpacked.") from error
    return folder


def complete(folder: Path) -> bool:
    """Whether all four files are there, right or wrong; what a broken-off download left is not enough."""
    return all(locate(folder, name) for name in FILES)


def locate(folder: Path, name: str) -> Path | None:
    """An IDX file under one of its usual names, or None."""
    spellings = (f"{name}.gz", name, name.replace("-idx", ".idx") + ".gz", name.replace("-idx", ".idx"))
    return next((folder / s for s in spellings if (folder / s).exists()), None)
