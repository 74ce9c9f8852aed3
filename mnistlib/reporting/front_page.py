"""The front page of a run, its merged metrics, and the closing lines in the terminal."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mnistlib.core.config import load_file
from mnistlib.core.errors import RunError
from mnistlib.core.files import read_json, shown, write_json, write_text
from mnistlib.core.formatting import as_text
from mnistlib.core.log import say
from mnistlib.evaluation.calibration import load_calibration
from mnistlib.reporting.card_facts import lead, load_facts
from mnistlib.reporting.explorer import explore_data
from mnistlib.reporting.model_card import make_card
from mnistlib.reporting.notebook_html import write_pages
from mnistlib.reporting.page_digests import index_digest
from mnistlib.reporting.pages import render, render_markdown
from mnistlib.reporting.run_summary import describe_run, describe_stage, headline_facts
from mnistlib.reporting.runs_table import write_runs_table
from mnistlib.reporting.sections import section_data
from mnistlib.runs import previous_model
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import is_fine_tuned, read_description
from mnistlib.runs.receipt import write_receipt
from mnistlib.runs.stages import STAGE
from mnistlib.runs.state import merged_metrics

PAD_SCRIPTS = ("ink.js", "network.js", "groups.js", "pad.js")
CONTENTS = {
    "01_data": "data source, integrity checks, samples",
    "02_preprocess": "normalization, label encoding, validation split",
    "03_train": "the network and its training",
    "04_evaluate": "accuracy, calibration, robustness",
    "05_features": "embeddings, PCA, t-SNE",
    "06_infer": "predictions on drawings and image files",
}


def render_run(name: str, answers: str) -> int:
    """Render what is stale of a run's pages, and print its results or its predictions; return the exit code.

    Args:
        name: of the run.
        answers: print (the predictions for the pictures of INPUT), printed (already), or empty.
    """
    run = Run(name)
    previous_model.reconcile(run)
    write_pages(run)
    write_index(run)
    if answers:
        from mnistlib.inference.terminal_output import print_predictions, results_message  # who gives pictures waits

        if answers == "print":
            infer = load_file(run.params())["infer"]
            print_predictions(run, infer["input"], infer["layout"])
        words, code = results_message(run)
        say(words)
        return code
    if run.headline.is_file():
        say(run.headline.read_text(encoding="utf-8").rstrip("\n"))
    return 0


def write_index(run: Run) -> None:
    """Write merged metrics, model card, headline, runs table, front page and receipt; nothing for a fine-tuned run.

    The old receipt is deleted first, so that no receipt ever names files that have changed.

    Args:
        run: any run; what it has not made yet is left out.

    Raises:
        RunError: when a file cannot be written.
    """
    if is_fine_tuned(run):
        return
    run.receipt.unlink(missing_ok=True)
    metrics = merged_metrics(run)
    write_json(run.all_metrics, metrics)
    stages = [describe_stage(run, stage) for stage in STAGE]
    page = {
        "title": f"{run.name} · classifier",
        "made_of": index_digest(run),
        "run": describe_run(run),
        "stages": [{**s, "content": CONTENTS[s["stage"]], "page": run.page(s["stage"]).is_file()} for s in stages],
        "headline": headline_facts(run),
        "metrics": [(name, as_text(value)) for name, value in metrics.items()],
        "sections": section_data(run),
        "code": ", ".join(sorted({s["commit"] for s in stages} - {""})),
        "finished": max(s["finished"] for s in stages),
        "total": f"{sum(sum(s['seconds'].values()) for s in stages):.0f}",
    }
    page |= write_card(run) | {"explore": explore_data(run), "pad": read_browser_pad(run)}
    scripts = ["page.js", *(["explorer.js"] if page["explore"] else []), *(PAD_SCRIPTS if page["pad"] else [])]
    write_text(run.headline, headline_text(run))
    write_runs_table(run)
    write_text(run.index, render("index.html.j2", page, scripts=scripts))
    write_receipt(run)


def write_card(run: Run) -> dict[str, Any]:
    """Write `models/README.md` and return the same texts for the front page; empty before the run is trained."""
    try:
        facts = load_facts(run)
    except RunError:
        return {"things": "", "lead": "", "card": []}
    summary, sections = lead(facts), make_card(facts)
    write_text(run.card, render_markdown("model_card.md.j2", title=run.name, lead=summary, sections=sections))
    return {"things": facts.origin.things, "lead": summary, "card": sections}


def read_browser_pad(run: Run) -> dict[str, Any]:
    """Return the network for the page's drawing pad; empty without one, or if its weights or thresholds are old."""
    try:
        pad = read_json(run.pad_json, hint="")
        expected = asdict(load_calibration(run)) | {"model": read_description(run)["weights_sha256"]}
    except RunError:
        return {}
    fits = all(pad.get(name) == value for name, value in expected.items())
    return pad if fits and "layers" in pad else {}


def headline_text(run: Run) -> str:
    """Return the headline figures and the path of the front page, for the terminal."""
    description = describe_run(run)
    lines = [f"  {name:<20} {value}" for name, value in headline_facts(run)]
    if description["fallback"]:
        lines.insert(0, BANNER)
    return "\n".join(
        ["", f"{run.name} on {description['dataset']}:", *lines, f"  {'report':<20} {shown(run.index)}", ""]
    )


BANNER = """
  ****************************************************************
  *  FALLBACK DATA: the requested dataset was not found and could *
  *  not be downloaded. This run uses scikit-learn's 1,797 small  *
  *  digits. Set MNIST_DIR to the folder of the four MNIST files  *
  *  (data.local_dir for another dataset) or go online; then run  *
  *  make again.                                                  *
  ****************************************************************
"""
