"""Parse JSON strictly and check its fields, without the time that pydantic's import takes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

MOST_DIGITS = 18  # of an integer
Check = Callable[[Any], bool]
RENAMED = {  # fields of files that earlier versions wrote
    "least_likeness": "ood_threshold",
    "taught_from": "fine_tuned_from",
    "drawings_taught": "drawings_learned",
}


def parse_json(content: bytes) -> Any:
    """Parse UTF-8 JSON. Raises ValueError for damage, deep nesting, NaN, infinities and huge numbers."""
    try:
        return json.loads(content.decode(), parse_constant=refuse_number, parse_int=parse_int, parse_float=parse_float)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_int(text: str) -> int:
    """Parse an integer of at most `MOST_DIGITS`. Raises ValueError."""
    return int(text) if len(text.lstrip("-")) <= MOST_DIGITS else refuse_number(text)


def parse_float(text: str) -> float:
    """Parse a finite number. Raises ValueError."""
    number = float(text)
    return number if math.isfinite(number) else refuse_number(text)


def refuse_number(text: str) -> NoReturn:
    """Raise ValueError for a number that is not finite or has too many digits."""
    raise ValueError(f"{text[:20]} is not a number that can be read")


def with_new_names(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with fields of earlier versions under their present names."""
    return {RENAMED.get(name, name): value for name, value in content.items()}


def wrong_fields(content: Mapping[str, Any], fields: Mapping[str, Check], optional: bool = False) -> list[str]:
    """Return the names of invalid fields.

    Args:
        content: the mapping to check.
        fields: the check of each allowed field.
        optional: whether fields may be missing.

    Returns:
        Names that are unknown, whose value fails its check, or that are missing.
    """
    missing = [] if optional else [name for name in fields if name not in content]
    wrong = [str(name)[:40] for name, value in content.items() if name not in fields or not fields[name](value)]
    return [*missing, *wrong]


def is_text(value: Any, most: int = 1000) -> bool:
    """Return whether a value is text of at most `most` characters."""
    return isinstance(value, str) and len(value) <= most


def is_digest(value: Any) -> bool:
    """Return whether a value is a SHA-256 in hexadecimal."""
    return isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{64}", value))


def between(low: float, high: float, kind: type = float) -> Check:
    """Return a check for finite numbers from `low` to `high`; `kind` int allows integers alone."""
    kinds = (int,) if kind is int else (int, float)
    return lambda value: type(value) in kinds and low <= value <= high


def one_of(*values: Any) -> Check:
    """Return a check for one of the values, of the same type."""
    return lambda value: any(type(value) is type(allowed) and value == allowed for allowed in values)


def list_of(check: Check, most: int, least: int = 0) -> Check:
    """Return a check for a list of `least` to `most` values, each of which passes `check`."""
    return lambda value: isinstance(value, list) and least <= len(value) <= most and all(map(check, value))


def is_flag(value: Any) -> bool:
    """Return whether a value is true or false."""
    return isinstance(value, bool)


def is_plain_name(value: Any) -> bool:
    """Return whether a value is a file's name without folders."""
    return is_text(value) and not re.search(r"[/\\\x00]|^\.", value)
