"""Open the notebooks in JupyterLab, with its own options in LAB: for `make lab LAB="--port 8899"`."""

from __future__ import annotations

import os
import shlex
import sys

from mnistlib.core.errors import RunError


def open_lab(text: str) -> int:
    """Become JupyterLab on the folder notebooks/, with the options that `text` holds.

    Raises:
        RunError: a quotation mark is open.
    """
    command = [sys.executable, "-m", "jupyter", "lab", "--notebook-dir", "notebooks"]
    command += options(text, is_root=os.geteuid() == 0)
    os.execv(sys.executable, command)  # noqa: S606 - a shell would run what stands in LAB


def options(text: str, is_root: bool) -> list[str]:
    """Split text into options as a shell does, without expanding or running any of it.

    JupyterLab starts as root, the usual user in a container, only with --allow-root: root's options include it.

    Raises:
        RunError: a quotation mark is open.
    """
    try:
        found = shlex.split(text)
    except ValueError as error:
        raise RunError(f"LAB={text}: {error}. Expected JupyterLab's options, such as LAB='--port 8899'.") from None
    return [*found, "--allow-root"] if is_root and "--allow-root" not in found else found
