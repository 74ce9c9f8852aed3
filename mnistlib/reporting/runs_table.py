"""The runs table, `runs/index.html`: status, accuracy and changed settings of each run, and the fine-tuned runs."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import read_json, shown, write_json, write_text
from mnistlib.core.json_checks import Check, between, is_flag, is_text, list_of, with_new_names, wrong_fields
from mnistlib.reporting.pages import render
from mnistlib.reporting.run_summary import describe_run
from mnistlib.runs import layout
from mnistlib.runs.layout import Run, runs_table_page
from mnistlib.runs.model_store import retrain_advice
from mnistlib.runs.record import NOT_RUN, OK
from mnistlib.runs.stages import STAGE
from mnistlib.runs.state import current_records, merged_metrics
from mnistlib.training.history import load_history

WIDTH, HEIGHT = 96, 28
KEPT = (
    *("test_accuracy", "test_accuracy_low", "test_accuracy_high", "train_seconds", "model_parameters"),
    *("handwriting_right", "handwriting_count"),
)
FINE_TUNED_METRICS = (
    *("drawings_learned", "drawings_held_back", "held_back_right_before", "held_back_right_after"),
    *("test_accuracy_before", "test_accuracy_after"),
)
NUMBER = between(-1e12, 1e12)
SUMMARY = {
    **dict.fromkeys(("verdict", "dataset", "finished"), is_text),
    **{"ok": is_flag, "fallback": is_flag, "differing": list_of(is_text, most=200)},
    "metrics": lambda value: isinstance(value, dict) and not wrong_fields(value, dict.fromkeys(KEPT, NUMBER), True),
    "curve": list_of(NUMBER, most=1000),
}
FINE_TUNED = dict.fromkeys(FINE_TUNED_METRICS, NUMBER) | {"fine_tuned_from": is_text, "teach_seconds": NUMBER}


def write_runs_table(run: Run) -> None:
    """Write the run's row to `status/summary.json`, and the runs table from the rows of all runs."""
    write_json(run.summary, summarize(run))
    write_runs_table_page()


def write_runs_table_page() -> None:
    """Write the runs table from the rows that the runs keep, the newest first.

    Raises:
        RunError: when the page cannot be written.
    """
    rows = [read_row(run) for run in runs_with("status/summary.json")]
    rows.sort(key=lambda row: str(row["finished"]), reverse=True)
    has_drawings = any("handwriting_count" in row["metrics"] for row in rows)
    fine_tuned = [read_fine_tuned(run) for run in runs_with("reports/teach.json")]
    page = {"runs": rows, "has_drawings": has_drawings, "fine_tuned": fine_tuned}
    write_text(runs_table_page(), render("runs_table.html.j2", page))


def runs_with(name: str) -> list[Run]:
    """Return the runs that have this file, by name; folders whose name no run can have are left out."""
    found = []
    for path in sorted(layout.RUNS.glob(f"*/{name}")):
        with suppress(RunError):
            found.append(Run(path.relative_to(layout.RUNS).parts[0]))
    return found


def read_row(run: Run) -> dict[str, Any]:
    """Return a run's row; when its summary cannot be read, a row with the reason."""
    try:
        kept = read_checked(run.summary, SUMMARY, f"delete it, and make all RUN={run.name} writes it anew")
    except RunError as error:
        empty = {"dataset": "", "finished": "", "fallback": False, "differing": [], "metrics": {}, "curve": ""}
        return empty | {"name": run.name, "verdict": "cannot be read", "ok": False, "unread": reason(error)}
    return kept | {"name": run.name, "curve": thumbnail(kept["curve"]), "unread": ""}


def read_fine_tuned(run: Run) -> dict[str, Any]:
    """Return the accuracies of a fine-tuned run before and after, or why they cannot be read."""
    try:
        return read_checked(run.teach_json, FINE_TUNED, retrain_advice(run)) | {"name": run.name, "unread": ""}
    except RunError as error:
        return {"name": run.name, "unread": reason(error)}


def reason(error: RunError) -> str:
    """Return an error's text with file names instead of paths, which would not fit into a row."""
    return " ".join(Path(word).name for word in str(error).split(" "))[:300]


def read_checked(path: Path, fields: Mapping[str, Check], hint: str) -> dict[str, Any]:
    """Return the checked content of a file. Raises RunError, naming the wrong fields and ending in `hint`."""
    kept = with_new_names(read_json(path, hint, most=1_000_000))
    wrong = wrong_fields(kept, fields)
    if wrong:
        raise RunError(f"{shown(path)} is damaged or of another version at {', '.join(wrong[:5])}: {hint}")
    return kept


def summarize(run: Run) -> dict[str, Any]:
    """Return the run's row: verdict, dataset, key metrics, changed parameters, validation error by epoch."""
    statuses = list(current_records(run).values())
    bad = [f"{s.stage} {s.verdict}" for s in statuses if s.verdict not in (OK, NOT_RUN)]
    done = sum(s.verdict == OK for s in statuses)
    metrics, description = merged_metrics(run), describe_run(run)
    try:
        curve = [1 - epoch.val_accuracy for epoch in load_history(run)]
    except RunError:
        curve = []
    return {
        "verdict": bad[0] if bad else OK if done == len(STAGE) else f"{done} of {len(STAGE)} stages",
        "ok": not bad,
        **{name: description[name] for name in ("dataset", "fallback", "differing")},
        "finished": max(s.finished for s in statuses),
        "metrics": {name: metrics[name] for name in KEPT if name in metrics},
        "curve": curve,
    }


def thumbnail(errors: list[float]) -> str:
    """Return validation errors by epoch as a small line plot with a logarithmic axis: SVG in base64, or empty."""
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
