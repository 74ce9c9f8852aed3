"""Format numbers, and show rows as a table in notebooks, pages and terminals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

LONG = 40


@dataclass(frozen=True)
class Table:
    """Rows with the same keys, shown as HTML in notebooks and as aligned text elsewhere; all text is escaped.

    `decimals`: decimal places of every float; None chooses them by its size.
    """

    rows: Sequence[Mapping[str, Any]]
    decimals: int | None = None

    def _repr_html_(self) -> str:
        if not self.rows:
            return "<p>nothing yet</p>"
        head = "".join(f"<th>{escape(str(name))}</th>" for name in self.rows[0])
        body = "".join(f"<tr>{''.join(html_cell(v, self.decimals) for v in row.values())}</tr>" for row in self.rows)
        return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'

    def __repr__(self) -> str:
        if not self.rows:
            return "nothing yet"
        lines = [
            list(map(str, self.rows[0])),
            *([as_text(v, self.decimals) for v in row.values()] for row in self.rows),
        ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def as_text(value: Any, decimals: int | None = None) -> str:
    """Format a value for people.

    Args:
        value: any value; integers get thousands separators.
        decimals: decimal places of a float. None: four below 1, two below 1,000; four significant digits below 0.001
            and from 1,000 on.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        size = abs(value)
        if decimals is None and (size >= 1000 or 0 < size < 0.001):
            return f"{value:.4g}"
        places = decimals if decimals is not None else 2 if size >= 1 else 4
        return f"{value:.{places}f}"
    return str(value)


def percent(share: float, decimals: int) -> str:
    """Format a fraction in 0…1 as 99.50 %."""
    return f"{100 * share:.{decimals}f} %"


def counted(count: int, thing: str) -> str:
    """Format a count with its noun, as 1 epoch, 12 epochs."""
    return f"{count:,} {thing}{'s' * (count != 1)}"


def seconds_text(seconds: float) -> str:
    """Format a rough duration in seconds as 7 s, 25 s, 3 min; empty for none."""
    if seconds <= 0:
        return ""
    if seconds < 90:
        step = 1 if seconds < 10 else 5 if seconds < 60 else 10
        return f"{max(1, step * round(seconds / step))} s"
    return f"{seconds / 60:.0f} min"


def confidence_text(confidence: float) -> str:
    """Format a confidence in 0…1 as 99.5 %; it is never rounded up to 100 %."""
    return percent(min(confidence, 0.999), 1)


def html_cell(value: Any, decimals: int | None = None) -> str:
    """Return a table cell: numbers aligned right, short words unbroken, long ones broken anywhere."""
    text = as_text(value, decimals)
    kind = "number" if isinstance(value, int | float) and not isinstance(value, bool) else ""
    if not kind and " " not in text:
        kind = "long" if len(text) > LONG else "word"
    return f'<td class="{kind}">{escape(text)}</td>'


def dims(shape: Sequence[int]) -> str:
    """Format an array's shape as 57,000 × 28 × 28."""
    return " × ".join(f"{side:,}" for side in shape)


def facts(mapping: Mapping[str, Any]) -> Table:
    """Return a table of names and values, one to a row."""
    return Table([{"what": name.replace("_", " "), "value": value} for name, value in mapping.items()])
