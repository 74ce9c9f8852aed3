"""The error that a person can put right, and how a command ends with one."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from functools import wraps


class RunError(Exception):
    """Something a person can put right; its text says what, where and how."""

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows: the words alone, without a trace through the library."""
        return [f"{type(self).__name__}: {self}"]


def in_words(stopped: str) -> Callable[[Callable[[], int]], Callable[[], int]]:
    """Make a command end without a traceback: a RunError in its words with 2, a Ctrl-C in `stopped` with 130."""

    def decorate(main: Callable[[], int]) -> Callable[[], int]:
        @wraps(main)
        def command() -> int:
            try:
                return main()
            except RunError as error:
                print(error, file=sys.stderr)
                return 2
            except KeyboardInterrupt:
                if main.__module__ == "__main__":  # a second one, while Python ends, would show a traceback
                    signal.signal(signal.SIGINT, signal.SIG_IGN)
                print(f"\n{stopped}", file=sys.stderr)
                return 130

        return command

    return decorate
