"""Checks of what JSON files of a run hold, for code that must not wait for pydantic's import."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]
RENAMED = {  # fields of files that earlier versions wrote
    "least_likeness": "ood_threshold",
    "taught_from": "fine_tuned_from",
    "drawings_taught": "drawings_learned",
}


def with_new_names(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with the fields of earlier versions under the names that they have now."""
    return {RENAMED.get(name, name): value for name, value in content.items()}


def wrong_fields(content: Mapping[str, Any], fields: Mapping[str, Check], optional: bool = False) -> list[str]:
    """Return the names that are unknown, or hold a value that is not allowed, or are missing and not `optional`."""
    missing = [] if optional else [name for name in fields if name not in content]
    return [*missing, *(str(name)[:40] for name, value in content.items() if not fields.get(name, never)(value))]


def never(value: Any) -> bool:
    """Return False: nothing is allowed under a name that is not known."""
    return False


def is_text(value: Any, most: int = 1000) -> bool:
    """Return whether a value is text of at most so many characters."""
    return isinstance(value, str) and len(value) <= most


def is_digest(value: Any) -> bool:
    """Return whether a value is a SHA-256 in hexadecimal."""
    return isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{64}", value))


def between(low: float, high: float, kind: type = float) -> Check:
    """Return a check for finite numbers from `low` to `high`; `kind` int allows whole numbers alone."""
    kinds = (int,) if kind is int else (int, float)
    return lambda value: type(value) in kinds and low <= value <= high


def one_of(*values: Any) -> Check:
    """Return a check for one of the values, of the same type."""
    return lambda value: any(type(value) is type(known) and value == known for known in values)


def list_of(check: Check, most: int, least: int = 0) -> Check:
    """Return a check for a list of so many values, each of which passes."""
    return lambda value: isinstance(value, list) and least <= len(value) <= most and all(map(check, value))


def is_flag(value: Any) -> bool:
    """Return whether a value is true or false."""
    return isinstance(value, bool)


def is_plain_name(value: Any) -> bool:
    """Return whether a value is the name of a file, without folders."""
    return is_text(value) and not re.search(r"[/\\\x00]|^\.", value)
