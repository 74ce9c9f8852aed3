"""The work behind the six notebooks: plain functions, each module one role."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType, TracebackType


def say_interrupted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The last word of a command that nothing in it has answered a Ctrl-C: no traceback but of other errors."""
    if not issubclass(kind, (KeyboardInterrupt, ImportError)):
        sys.__excepthook__(kind, error, trace)
        return
    print("\ninterrupted", file=sys.stderr)
    if not issubclass(kind, KeyboardInterrupt):  # Python's own end would tell make of an error
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Answer a Ctrl-C as Python does, and remember it: while numpy is imported, it becomes an ImportError."""
    sys.excepthook = say_interrupted
    signal.default_int_handler(number, frame)


if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, interrupt)  # a command of ours is starting, python -m mnistlib.something
