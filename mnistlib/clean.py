"""Delete a run, but never what a person made without asking: for `make clean RUN=…`."""

from __future__ import annotations

import os
import shutil
import sys

from mnistlib.files import RunError, shown
from mnistlib.lock import hold
from mnistlib.rundir import Run


def main() -> int:
    """Ask, then delete the run that the environment's RUN names; returns the exit code."""
    name = os.environ.get("RUN", "")
    if not name:
        print("which run? make clean RUN=name", file=sys.stderr)
        return 2
    try:
        run = Run(name)
    except RunError as error:
        print(error, file=sys.stderr)
        return 2
    if not run.folder.is_dir():
        print(f"there is no {shown(run.folder)}")
        return 0
    made = run.inference.is_dir() and any(run.inference.iterdir())
    warning = " with what is in data/inference/" if made else ""
    print(f"delete {shown(run.folder)}{warning}? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        print("nothing deleted")
        return 1
    try:
        hold(run)
    except RunError as error:
        print(error, file=sys.stderr)
        return 2
    shutil.rmtree(run.folder)
    from mnistlib.overview import write_overview_page  # its templates are not waited for before the question

    write_overview_page()
    print("deleted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
