"""Start the command line; a Ctrl-C while it still imports ends in a word, too."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType, TracebackType


def say_interrupted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say that a Ctrl-C has ended the program, and end by the signal; show the traceback of any other error."""
    if not issubclass(kind, (KeyboardInterrupt, ImportError)):
        sys.__excepthook__(kind, error, trace)
        return
    print("\ninterrupted", file=sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Answer a Ctrl-C as Python does, and remember it: the import of numpy turns it into an ImportError."""
    sys.excepthook = say_interrupted
    signal.default_int_handler(number, frame)


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    from mnistlib.cli import main

    sys.exit(main())
