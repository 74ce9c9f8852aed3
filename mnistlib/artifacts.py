"""What the stages leave in a run: whether all of it is there, and whether anything has written to it since."""

from __future__ import annotations

from pathlib import Path

from mnistlib.params import load_file
from mnistlib.rundir import Run
from mnistlib.stages import FIGURES, SOMETIMES, STAGE


def always(stage: str) -> list[str]:
    """The files that a stage leaves in every run, under the run's folder."""
    return [*STAGE[stage].leaves, *(f"reports/figures/{name}.png" for name in FIGURES[stage]), f"metrics/{stage}.json"]


def missing(run: Run, stage: str) -> list[str]:
    """Which of the files that a stage always leaves are not there."""
    return [name for name in always(stage) if not (run.folder / name).is_file()]


def left(run: Run, stage: str) -> list[str]:
    """The files of the run that a stage did leave: what every run has, and what only some have.

    Examples that lie there from before somebody gave pictures are not what the last 06 left.
    """
    given = stage == "06_infer" and load_file(run.params(stage))["parameters"]["input"]
    patterns = () if given else SOMETIMES.get(stage, ())
    some = (path for pattern in patterns for path in sorted(run.folder.glob(pattern)))
    names = [*always(stage), *(path.relative_to(run.folder).as_posix() for path in some)]
    return [name for name in names if (run.folder / name).is_file()]


def traces(run: Run, stage: str) -> dict[str, list[int]]:
    """Size in bytes and time of change in ns of the files a stage leaves, but for what people may open and save."""
    paths = {name: run.folder / name for name in always(stage) if not name.startswith("data/inference/")}
    stats = {name: path.stat() for name, path in paths.items() if path.is_file()}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}


def worth_keeping(run: Run) -> list[Path]:
    """What goes to a tracker: parameters, executed notebooks, the model, figures and metrics."""
    patterns = ("params/params.yaml", "notebooks/??_*.ipynb", "models/[!.]*", "reports/figures/[!.]*")
    return sorted(path for name in (*patterns, "reports/metrics.json") for path in run.folder.glob(name))
