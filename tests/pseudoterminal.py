"""A real pseudo-terminal for tests: what programs write to it, and what is left on its screen."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from pathlib import Path

COLUMNS = 60
COLOR = re.compile(r"\x1b\[\d*m")


class Terminal:
    """A real pseudo-terminal, as the programs in it see it; `raw` is all that was written to it."""

    def __init__(self, columns: int = COLUMNS) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.file, self.columns, self.raw = os.fdopen(slave, "w", encoding="utf-8"), columns, ""

    def run(self, *command: str, cwd: Path, env: dict[str, str], until: str = "", typed: str = "") -> int:
        """Run a command here as a shell would; type when the screen says `until` and is still. Returns its exit code.

        Still, for at a ^C a terminal throws away what is on its way to the screen, were it only the end of a line.
        """
        inside = (
            "import fcntl, os, sys, termios as t; fcntl.ioctl(0, t.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", inside, *command],
            cwd=cwd, env=env, stdin=self.file, stdout=self.file, stderr=self.file, start_new_session=True,
        )  # fmt: skip
        self.file.close()
        while self.read():
            if until and until in self.raw and not select.select([self.master], [], [], 0.2)[0]:
                until = ""
                os.write(self.master, typed.encode())
        return process.wait(60)

    def read(self) -> str:
        """Take in what has been written; empty when nobody can write any more, or nobody has for a minute."""
        try:
            ready, _, _ = select.select([self.master], [], [], 60)
            chunk = os.read(self.master, 65536).decode(errors="replace") if ready else ""
        except OSError:  # Linux's way to say that nobody is there any more
            chunk = ""
        self.raw += chunk
        return chunk

    def close(self) -> None:
        """Take in all the rest."""
        self.file.close()
        while self.read():
            pass

    def screen(self) -> list[str]:
        """The lines that are left in the end, by a typewriter that knows carriage return and line feed."""
        lines, column = [""], 0
        for character in COLOR.sub("", self.raw):
            if character == "\n":
                lines.append("")
            elif character == "\r":
                column = 0
            else:
                assert character.isprintable(), repr(character)
                if column == self.columns:
                    lines.append("")
                    column = 0
                lines[-1] = (lines[-1][:column].ljust(column) + character + lines[-1][column + 1 :]).rstrip()
                column += 1
        return lines
