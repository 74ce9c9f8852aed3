"""What the stages leave in a run: whether all of it is there, whether anything has written to it since, what lasts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mnistlib.files import bytes_digest
from mnistlib.params import load_file
from mnistlib.rundir import Run
from mnistlib.stages import FIGURES, SOMETIMES, STAGE

ASIDE = re.compile(r"(.*_)?(seconds|bytes)|train_device")
PLACES = {"source", "folder", "file"}


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


def content_digest(path: Path, run_name: str) -> str:
    """Hash of a text file without the run's name; of a JSON file also without seconds, bytes and places, and with
    nine digits of each number, since the last ones hang on how a processor sums."""
    text = path.read_text(encoding="utf-8").replace(f"runs/{run_name}/", "runs/RUN/")
    if path.suffix == ".json":
        text = json.dumps(lasting(json.loads(text)), sort_keys=True)
    return bytes_digest(text.encode())


def lasting(value: Any) -> Any:
    """A JSON value without what may differ between equal runs."""
    if isinstance(value, dict):
        return {k: lasting(v) for k, v in value.items() if not ASIDE.fullmatch(k) and k not in PLACES}
    if isinstance(value, list):
        return [lasting(v) for v in value]
    return f"{value:.9g}" if isinstance(value, float) else value
