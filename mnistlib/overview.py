"""All runs on one page, `runs/index.html`: what became of each, how good it is, what differs, and what was taught."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np

from mnistlib import rundir
from mnistlib.describe import describe_run
from mnistlib.files import RunError, read_json, write_json, write_text
from mnistlib.history import load_history
from mnistlib.plan import merged_metrics, standing
from mnistlib.record import NOT_RUN, OK
from mnistlib.report import render
from mnistlib.rundir import Run, overview_page
from mnistlib.stages import STAGE

WIDTH, HEIGHT = 96, 28
KEPT = (
    *("test_accuracy", "test_accuracy_low", "test_accuracy_high", "train_seconds", "model_parameters"),
    *("handwriting_right", "handwriting_count"),
)
TAUGHT = (
    *("drawings_taught", "drawings_held_back", "held_back_right_before", "held_back_right_after"),
    *("test_accuracy_before", "test_accuracy_after"),
)


def write_overview(run: Run) -> None:
    """Keep the run's line in `status/summary.json`, and write the page of all runs anew from theirs."""
    write_json(run.summary, summarise(run))
    write_overview_page()


def write_overview_page() -> None:
    """Write the page of all runs anew from the lines that they keep."""
    lines = [read_line(path) for path in rundir.RUNS.glob("*/status/summary.json")]
    rows = sorted((line for line in lines if line), key=lambda line: str(line["finished"]), reverse=True)
    drawn = any("handwriting_count" in line["metrics"] for line in rows)
    taught = [line for path in sorted(rundir.RUNS.glob("*/reports/teach.json")) if (line := read_taught(path))]
    write_text(overview_page(), render("overview.html.j2", {"runs": rows, "drawn": drawn, "taught": taught}))


def read_line(path: Path) -> dict[str, Any]:
    """A run's line; empty for what is none: a folder of something else, half written, or of another version."""
    try:
        kept = read_json(path, hint="")
        return {
            **{name: str(kept[name]) for name in ("verdict", "dataset", "finished")},
            "name": Run(path.parent.parent.name).name,
            "ok": bool(kept["ok"]),
            "fallback": bool(kept["fallback"]),
            "differing": [str(text) for text in kept["differing"]],
            "metrics": {name: float(kept["metrics"][name]) for name in KEPT if name in kept["metrics"]},
            "curve": thumbnail([float(error) for error in kept["curve"]]),
        }
    except (RunError, KeyError, TypeError, ValueError):
        return {}


def read_taught(path: Path) -> dict[str, Any]:
    """What a taught run won and what it cost; empty for what is none."""
    try:
        kept = read_json(path, hint="")
        scores = {name: float(kept[name]) for name in TAUGHT}
        return scores | {"name": Run(path.parent.parent.name).name, "taught_from": str(kept["taught_from"])}
    except (RunError, KeyError, TypeError, ValueError):
        return {}


def summarise(run: Run) -> dict[str, Any]:
    """The run in one line: verdict, dataset, key metrics, what differs, and its validation errors by epoch."""
    statuses = list(standing(run).values())
    bad = [f"{s.stage} {s.verdict}" for s in statuses if s.verdict not in (OK, NOT_RUN)]
    done = sum(s.verdict == OK for s in statuses)
    metrics, told = merged_metrics(run), describe_run(run)
    try:
        curve = [1 - epoch.val_accuracy for epoch in load_history(run)]
    except RunError:
        curve = []
    return {
        "verdict": bad[0] if bad else OK if done == len(STAGE) else f"{done} of {len(STAGE)} stages",
        "ok": not bad,
        "dataset": told["dataset"],
        "fallback": told["fallback"],
        "differing": told["differing"],
        "finished": max(s.finished for s in statuses),
        "metrics": {name: metrics[name] for name in KEPT if name in metrics},
        "curve": curve,
    }


def thumbnail(errors: list[float]) -> str:
    """Validation errors by epoch as a small line, logarithmic: an SVG in base64; empty for fewer than two."""
    heights = np.log(np.maximum(np.array(errors, float), 1e-5))
    if len(heights) < 2 or not np.isfinite(heights).all():
        return ""
    spread = max(float(np.ptp(heights)), 1e-9)
    y = 2 + (HEIGHT - 4) * (heights.max() - heights) / spread
    x = np.linspace(2, WIDTH - 2, len(heights))
    points = " ".join(f"{left:.1f},{top:.1f}" for left, top in zip(x, y, strict=True))
    line = f'<polyline points="{points}" fill="none" stroke="#4e79a7" stroke-width="1.5"/>'
    picture = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">{line}</svg>'
    return base64.b64encode(picture.encode()).decode()
