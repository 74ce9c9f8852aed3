"""The run's front page, its merged metrics, and the last words in the terminal."""

from __future__ import annotations

import base64
from typing import Any

from mnistlib.describe import describe_run, describe_stage, headline_facts, metric_rows
from mnistlib.files import RunError, read_json, shown, write_json, write_text
from mnistlib.overview import write_overview
from mnistlib.report import render
from mnistlib.rundir import Run
from mnistlib.stages import STAGE
from mnistlib.status import merged_metrics, read_status

KEY_FIGURES = (
    ("confusion_matrix", "Where it errs", "Rows: what the digit is; columns: what it was recognised as."),
    ("tsne_plot", "What it has learnt", "Embeddings of test digits by t-SNE; ringed ones were mistaken."),
    ("reliability", "How far to trust it", "Accuracy against confidence; on the line is perfect."),
    (
        "pad",
        "What people draw",
        "Strokes, what the network saw of them, and what it says; copybook forms until somebody draws.",
    ),
    ("learning_curves", "How it learnt", "Loss and errors by epoch."),
    ("mistakes", "The surest mistakes", "What each is, what it was taken for, how surely."),
    ("what_the_model_saw", "What it was given", "Pictures as the network saw them, with its answers."),
)
PAD_SCRIPTS = ("ink.js", "network.js", "pad.js")
WIDE = {"learning_curves", "mistakes", "what_the_model_saw"}
TOLD = {
    "01_data": "Where the data came from, and whether it is what it claims to be",
    "02_preprocess": "Normalise, reshape, encode, split",
    "03_train": "The network, and the training as it happened",
    "04_evaluate": "How good it is, where it errs, how far to trust it",
    "05_features": "What the network has learnt",
    "06_infer": "What it makes of new pictures",
}


def write_index(run: Run) -> None:
    """Write `reports/metrics.json`, `reports/index.html`, the headline for the terminal, and the page of all runs."""
    metrics = merged_metrics(run)
    write_json(run.all_metrics, metrics)
    pad = read_pad(run)
    page = render(
        "index.html.j2",
        {
            "title": f"{run.name} · digit classifier",
            "run": describe_run(run),
            "stages": [{**describe_stage(run, s), "told": TOLD[s], "page": run.page(s).is_file()} for s in STAGE],
            "headline": headline_facts(run),
            "metrics": metric_rows(metrics),
            "figures": key_figures(run),
            "pad": pad,
            "code": ", ".join(sorted({read_status(run, s).code for s in STAGE} - {""})),
            "finished": max((read_status(run, s).finished for s in STAGE), default=""),
            "total": f"{sum(read_status(run, s).total_seconds for s in STAGE):.0f}",
        },
        scripts=("page.js", *PAD_SCRIPTS) if pad else ("page.js",),
    )
    write_text(run.index, page)
    write_text(run.headline, headline_text(run))
    write_overview(run)


def read_pad(run: Run) -> dict[str, Any]:
    """What the page recognises drawings with; empty where there is none, or it is of other weights or thresholds."""
    try:
        pad = read_json(run.pad_json, hint="")
        trust = read_json(run.calibration_json, hint="")
        trust["model"] = read_json(run.model_json, hint="").get("weights_sha256")
    except RunError:
        return {}
    fits = all(pad.get(name) == trust[name] for name in trust if name != "format")
    return pad if fits and "layers" in pad else {}


def headline_text(run: Run) -> str:
    """The headline figures and where to read on."""
    told = describe_run(run)
    lines = [f"  {name:<20} {value}" for name, value in headline_facts(run)]
    if told["fallback"]:
        lines.insert(0, BANNER)
    return "\n".join(["", f"{run.name} on {told['dataset']}:", *lines, f"  {'report':<20} {shown(run.index)}", ""])


BANNER = """
  ****************************************************************
  *  FALLBACK DATA: no MNIST was found, and none could be fetched *
  *  These are scikit-learn's 1,797 small digits, NOT MNIST.      *
  *  Set MNIST_DIR to the four MNIST files, or go online, and     *
  *  run again.                                                   *
  ****************************************************************
"""


def key_figures(run: Run) -> list[dict[str, Any]]:
    """The figures that are there, as data to be put into the page."""
    return [
        {
            "png": base64.b64encode(run.figure(name).read_bytes()).decode(),
            "title": title,
            "text": text,
            "wide": name in WIDE,
        }
        for name, title, text in KEY_FIGURES
        if run.figure(name).is_file()
    ]
