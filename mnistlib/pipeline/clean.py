"""Delete a run, but never what a person made without asking: for `make clean RUN=…`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from mnistlib.core.errors import RunError
from mnistlib.core.files import shown
from mnistlib.runs.layout import Run, check_own_files
from mnistlib.runs.lock import lock_run


def clean_run(name: str) -> int:
    """Ask, then delete the run of that name.

    Returns:
        The exit code: 0 when it is gone, 1 when it stays, 2 without a name, 130 after a Ctrl-C at the question.

    Raises:
        RunError: the run holds links, or another make uses it.
    """
    if not name:
        print("which run? make clean RUN=name", file=sys.stderr)
        return 2
    run = Run(name)
    if not (run.folder.is_dir() or run.folder.is_symlink()):
        print(f"there is no {shown(run.folder)}")
        return 0
    if not run.folder.is_symlink():
        check_own_files(run)
    try:
        agreed_to = agreed(run)
    except KeyboardInterrupt:
        print("\nnothing deleted")
        return 130
    if not agreed_to:
        print("nothing deleted")
        return 1
    if run.folder.is_dir():
        lock_run(run)
    return delete(run)


def agreed(run: Run) -> bool:
    """Whether the person says yes to losing the run, or the link that stands for it."""
    if run.folder.is_symlink():
        question = f"{shown(run.folder)} is a link to {run.folder.readlink()}, which stays: delete the link?"
    else:
        made = run.inference.is_dir() and any(run.inference.iterdir())
        question = f"delete {shown(run.folder)}{' with what is in data/inference/' if made else ''}?"
    print(f"{question} [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def delete(run: Run) -> int:
    """Delete the run, or the link alone, as far as it can be; returns the exit code."""
    from mnistlib.reporting.runs_table import (
        write_runs_table_page,  # its templates are not waited for before the question
    )

    said = take_away(run.folder)
    try:
        write_runs_table_page()
    except RunError as error:
        said = said or str(error)
    print(said or "deleted", file=sys.stderr if said else sys.stdout)
    return 1 if said else 0


def take_away(folder: Path) -> str:
    """Delete a link, or a folder as far as it can be; returns what stays and why, empty when nothing does."""
    try:
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)  # what stands beside it
        what = f"{Path(error.filename or folder).name} in {shown(folder)}: {error.strerror}"
        return f"cannot delete {what}; all else that could be is deleted. Put that right and make clean again"
    return ""
