"""A Ctrl-C while a command still imports, at a moment that is no matter of luck: a module in its way sends it."""

import os
import signal
import subprocess
import sys

import pytest

from mnistlib.core.files import ROOT

CTRL_C = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
AS_NUMPY_TELLS_IT = (
    f"try:\n    exec({CTRL_C!r})\nexcept KeyboardInterrupt:\n    raise ImportError('no datetime') from None\n"
)


def start(folder, numpy: str, *arguments: str) -> tuple[int, str]:
    """Python's exit code and its last words, with that for its numpy."""
    (folder / "numpy.py").write_text(numpy)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


COMPARE = ("-m", "mnistlib", "compare", "--a", "one", "--b", "another")


@pytest.mark.parametrize(
    ("numpy", "code", "said"),
    [(CTRL_C, 130, "\nnothing compared\n"), (AS_NUMPY_TELLS_IT, -signal.SIGINT, "\ninterrupted\n")],
)
def test_it_leaves_a_word_and_the_status_that_make_knows(tmp_path, numpy, code, said):
    assert start(tmp_path, numpy, *COMPARE) == (code, said)


def test_an_import_that_fails_by_itself_is_shown_with_its_place(tmp_path):
    code, said = start(tmp_path, "raise ImportError('no datetime')", *COMPARE)
    assert (code, said.splitlines()[0]) == (1, "Traceback (most recent call last):")
    assert said.endswith("ImportError: no datetime\n")


def test_a_program_of_somebody_else_is_left_alone(tmp_path):
    code, said = start(tmp_path, CTRL_C, "-c", "import mnistlib.reporting.comparison")
    assert code == -signal.SIGINT
    assert said.endswith("KeyboardInterrupt\n")
