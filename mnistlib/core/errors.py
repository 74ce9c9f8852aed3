"""The error that a person can put right."""

from __future__ import annotations


class RunError(Exception):
    """Something a person can put right; its text says what, where and how."""

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows: the words alone, without a trace through the library."""
        return [f"{type(self).__name__}: {self}"]
