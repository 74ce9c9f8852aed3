"""The error that a user can fix, and how a command ends with one."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from functools import wraps


class RunError(Exception):
    """An error that the user can fix; its message says what is wrong, where, and what to do."""

    def _render_traceback_(self) -> list[str]:
        """Return what Jupyter shows: the message alone, without a traceback."""
        return [f"{type(self).__name__}: {self}"]


def in_words(stopped: str) -> Callable[[Callable[[], int]], Callable[[], int]]:
    """Decorate a command so that it ends with a message instead of a traceback.

    Args:
        stopped: the line to print after Ctrl-C.

    Returns:
        A decorator. The command returns 2 after a RunError, whose message is printed, and 130 after Ctrl-C.
    """

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
