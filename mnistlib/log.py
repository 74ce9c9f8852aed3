"""Logging to the terminal and to a file in the run."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

logger = logging.getLogger("mnistlib")


def log_to(file: Path | None = None) -> None:
    """Send INFO and above to the terminal as plain lines and, with times, to `file`, appended."""
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    terminal = logging.StreamHandler(sys.stdout)
    terminal.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(terminal)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = logging.FileHandler(file, encoding="utf-8")
        kept.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(kept)


class Lines:
    """A text stream that logs each whole line: what cells print, as it comes."""

    def __init__(self, level: int) -> None:
        self.level, self.rest = level, ""

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            logger.log(self.level, "   %s", line)
        return len(text)

    def flush(self) -> None:
        """Nothing to do: half a line waits for its end."""
