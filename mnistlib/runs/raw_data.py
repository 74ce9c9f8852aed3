"""Read `data/raw.json`, a run's description of its dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT, file_digest, read_json, shown
from mnistlib.core.json_checks import between, is_flag, is_plain_name, is_text, list_of, one_of, wrong_fields
from mnistlib.runs.layout import Run

DATASET_NAMES = ("mnist", "fashion_mnist", "kmnist", "digits")
RAW_FILE = {"file": is_plain_name, "bytes": between(0, 10**12, int), "shape": is_text}
RAW_FILE |= dict.fromkeys(("SHA-256 unpacked", "MD5 of the .gz"), is_text)
DESCRIBED = {  # what 01_data says of the dataset
    "dataset": one_of(*DATASET_NAMES),
    "source": one_of("raw", "local", "download", "digits"),
    "fallback": is_flag,
    "folder": is_text,
    "title": is_text,
    "classes": list_of(is_text, most=100),
    "files": list_of(lambda row: isinstance(row, dict) and not wrong_fields(row, RAW_FILE, optional=True), most=4),
}


def read_raw(run: Run, hint: str, needed: Sequence[str] = ()) -> dict[str, Any]:
    """Read a run's description of its dataset.

    Args:
        hint: the next step, with which an error message ends.
        needed: fields that must be there.

    Raises:
        RunError: the file is missing or damaged.
    """
    kept = read_json(run.raw_json, hint)
    wrong = [*(name for name in needed if name not in kept), *wrong_fields(kept, DESCRIBED, optional=True)]
    if wrong:
        raise RunError(f"{shown(run.raw_json)} is damaged at {', '.join(wrong)}: {hint}")
    return kept


def raw_files(run: Run) -> dict[str, str]:
    """Return the SHA-256 of the dataset's files by their paths; empty for embedded data."""
    try:
        raw = read_raw(run, hint="")
        paths = [ROOT / str(raw["folder"]) / str(row["file"]) for row in raw["files"]]
    except (RunError, KeyError, TypeError):
        return {}
    return {shown(path): file_digest(path) for path in paths if path.is_file()}
