"""The progress of a stage on one moving line of the terminal; plain lines where there is no such terminal.

tqdm and rich leave the cursor at the end of the line or hide it, so that what make and a Ctrl-C print stays in it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import TextIO

from mnistlib.core.formatting import seconds_text
from mnistlib.core.log import GONE, PlainFormatter, chosen_level, silence
from mnistlib.reporting.progress import read_epoch
from mnistlib.runs.stages import runs_side_by_side

EVERY = 1.0  # seconds after which the line is drawn again
AT_MOST = 0.1  # seconds between two drawings, however fast the records come


def terminal(stage: str, expected: float, epochs: int, began: float, stream: TextIO | None = None) -> logging.Handler:
    """Return the handler that shows a stage: the moving line, or plain lines for a pipe or stages side by side.

    Args:
        stage: name of the stage.
        expected: duration estimate in seconds, 0 for none.
        epochs: how many the stage trains, 0 for none.
        began: when the stage started, in seconds since 1970.
        stream: where to write; standard output without one.

    Raises:
        RunError: LOG names no level.
    """
    stream = stream or sys.stdout
    able = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    handler: Heard
    if able and not runs_side_by_side():
        handler = LiveLine(stream, Progress(stage, expected, epochs, began), chosen_level(logging.WARNING))
    else:
        handler = Heard(stream)
        handler.setLevel(chosen_level())
    handler.setFormatter(PlainFormatter(colored=able and not os.environ.get("NO_COLOR")))
    return handler


class Heard(logging.StreamHandler[TextIO]):
    """Plain lines; silent once nobody reads them, as after `head -1`, while run.log still gets all."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Silence a stream that nobody reads; report any other error as logging does."""
        error = sys.exception()
        if isinstance(error, OSError) and error.errno in GONE:
            silence(self.stream)
        else:
            super().handleError(record)


class Progress:
    """How far a stage is, from the records of its log."""

    def __init__(self, stage: str, expected: float, epochs: int, began: float) -> None:
        self.stage, self.expected, self.epochs = stage, expected, epochs
        self.place, self.epoch, self.loss = "starting", 0, ""
        self.trained: list[float] = []  # seconds of each epoch so far
        self.began = began
        self.epoch_ended = self.began

    def note(self, record: logging.LogRecord) -> None:
        """Note the place or the epoch that a record holds."""
        self.place = getattr(record, "place", self.place)
        found = read_epoch(record.getMessage()) if self.epochs else None
        if found:
            self.epoch, self.loss, seconds = found
            self.trained.append(seconds)
            self.epoch_ended = time.time()

    def text(self) -> str:
        """Return stage, seconds, remaining time, place, epoch and loss, as far as each is known."""
        seconds = f"{time.time() - self.began:.0f} s"
        parts = [self.stage, ", ".join(filter(None, [seconds, in_words(self.seconds_left())])), self.place]
        if self.epoch:
            parts += [f"epoch {self.epoch} of {self.epochs}", f"loss {self.loss}"]
        return "   " + "  ".join(parts)

    def seconds_left(self) -> float:
        """Estimate the remaining seconds from the epochs so far, else from the duration estimate; 0 for unknown."""
        if self.trained and self.epoch < self.epochs:
            each = sum(self.trained) / len(self.trained)
            return (self.epochs - self.epoch) * each - (time.time() - self.epoch_ended)
        return self.expected - (time.time() - self.began) if self.expected else 0.0


def in_words(seconds: float) -> str:
    """Return the remaining time in words; empty where it is unknown or over."""
    text = seconds_text(seconds)
    return f"about {text} left" if text else ""


class LiveLine(Heard):
    """The last line of a terminal. Records from `least` on, and the verdict, stand above it; after that it is gone.

    It is written over with spaces and leaves the cursor at its start: no control sequence is needed, and what
    others write (make, a ^C) begins where a line should.
    """

    def __init__(self, stream: TextIO, progress: Progress, least: int) -> None:
        super().__init__(stream)
        self.progress, self.least = progress, least
        self.over, self.shown, self.drawn = threading.Event(), False, 0.0
        self.clock = threading.Thread(target=self.tick, daemon=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record; the first one starts the clock."""
        self.progress.note(record)
        is_verdict = hasattr(record, "verdict")
        if record.levelno >= self.least or is_verdict:
            self.clear()
            super().emit(record)
        if is_verdict:
            self.over.set()
        elif self.clock.ident is None and not self.over.is_set():
            self.clock.start()
        self.draw()

    def tick(self) -> None:
        """Draw the line every second until the stage ends."""
        while not self.over.wait(EVERY):
            with self.lock:  # type: ignore[union-attr]
                self.draw()

    def draw(self) -> None:
        """Write the line over what stands there."""
        if not self.over.is_set() and time.monotonic() - self.drawn >= AT_MOST:
            self.write(self.progress.text())
            self.shown, self.drawn = True, time.monotonic()

    def clear(self) -> None:
        """Leave an empty line, the cursor at its start."""
        if self.shown:
            self.write("")
            self.shown, self.drawn = False, 0.0

    def write(self, text: str) -> None:
        """Put a text in place of the line, cut to its width; end where the terminal is gone."""
        try:
            width = (os.get_terminal_size(self.stream.fileno()).columns or 80) - 1
            self.stream.write(f"\r{text[:width]:<{width}}\r")
            self.stream.flush()
        except (OSError, ValueError):
            self.over.set()

    def close(self) -> None:
        """Take the line away, whatever ended the stage."""
        self.over.set()
        if self.clock.is_alive():
            self.clock.join(EVERY)
        with self.lock:  # type: ignore[union-attr]
            self.clear()
        super().close()
