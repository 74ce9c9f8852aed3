"""The pictures that a run was given to recognise: looked for where they were, and answered for once they are gone."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mnistlib.files import RunError, listing_digest, shown
from mnistlib.params import load_file
from mnistlib.rundir import Run


def named_pictures(text: str) -> list[Path]:
    """The pictures that INPUT names. Raises RunError when there are none."""
    from mnistlib.pictures import find_pictures  # only who gives pictures waits for what reads them

    return find_pictures(text)


def kept_input(run: Run) -> str:
    """The pictures that the run was given last, wherever they are by now: a second make leaves their answers be."""
    try:
        return str(load_file(run.params())["infer"]["input"])
    except (RunError, KeyError, TypeError):
        return ""


def input_digest(run: Run, text: str) -> str:
    """Hash of the pictures' names, sizes and times; once they are gone, the one recorded, for their answers stand."""
    try:
        return listing_digest(named_pictures(text))
    except RunError:
        with suppress(RunError):
            return str(load_file(run.params("06_infer")).get("input", ""))
        return ""


def check_still_there(run: Run, text: str) -> None:
    """Raises RunError, with both ways out, where 06 cannot run for the pictures given are gone."""
    try:
        if text:
            named_pictures(text)
    except RunError as error:
        raise RunError(
            f"{error}\n06_infer has to run and cannot, for these pictures, which runs/{run.name} was given, are gone. "
            f"Its answers stay in {shown(run.inference)}.\n"
            "INPUT=… names the pictures where they are now, SET=infer.input= goes back to examples from the test part"
        ) from error
