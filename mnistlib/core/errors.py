"""The error that a user can fix."""

from __future__ import annotations


class RunError(Exception):
    """An error that the user can fix; its message says what is wrong, where, and what to do."""

    def _render_traceback_(self) -> list[str]:
        """Return what Jupyter shows: the message alone, without a traceback."""
        return [f"{type(self).__name__}: {self}"]
