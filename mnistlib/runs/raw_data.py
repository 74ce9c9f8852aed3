"""What a run says of its dataset, in `data/raw.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnistlib.core.errors import RunError
from mnistlib.core.files import read_json, shown
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
    """Return what `raw.json` says of the run's dataset, with the fields that are `needed` for sure.

    Raises RunError, ending in `hint`, when it is missing or damaged.
    """
    kept = read_json(run.raw_json, hint)
    wrong = [*(name for name in needed if name not in kept), *wrong_fields(kept, DESCRIBED, optional=True)]
    if wrong:
        raise RunError(f"{shown(run.raw_json)} is damaged at {', '.join(wrong)}: {hint}")
    return kept
