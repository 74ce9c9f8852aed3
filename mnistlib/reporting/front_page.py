"""The run's front page, its merged metrics, and the last words in the terminal."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mnistlib.core.config import load_file
from mnistlib.core.errors import RunError
from mnistlib.core.files import read_json, shown, write_json, write_text
from mnistlib.core.log import say
from mnistlib.evaluation.calibration import load_calibration
from mnistlib.reporting.card_facts import gather, lead
from mnistlib.reporting.explorer import explore_data
from mnistlib.reporting.model_card import make_card
from mnistlib.reporting.notebook_html import write_pages
from mnistlib.reporting.page_digests import index_digest
from mnistlib.reporting.pages import render, render_markdown
from mnistlib.reporting.run_summary import describe_run, describe_stage, headline_facts, metric_rows
from mnistlib.reporting.runs_table import write_runs_table
from mnistlib.reporting.sections import section_data
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import is_fine_tuned, read_description
from mnistlib.runs.previous_model import settle
from mnistlib.runs.receipt import write_receipt
from mnistlib.runs.stages import STAGE
from mnistlib.runs.state import merged_metrics

PAD_SCRIPTS = ("ink.js", "network.js", "pad.js")
TOLD = {
    "01_data": "Where the data came from, and whether it is what it claims to be",
    "02_preprocess": "Normalise, reshape, encode, split",
    "03_train": "The network, and the training as it happened",
    "04_evaluate": "How good it is, where it errs, how far to trust it",
    "05_features": "What the network has learnt",
    "06_infer": "What it makes of new pictures",
}


def render_run(name: str, answers: str) -> int:
    """Render what is stale of a run's pages, and print its results or its answers; return the exit code.

    Args:
        name: of the run.
        answers: print (the answers for the pictures of INPUT), printed (already), or empty.
    """
    run = Run(name)
    settle(run)
    write_pages(run)
    write_index(run)
    if answers:
        from mnistlib.inference.answers import closing_words, print_answers  # only who gives pictures waits for them

        if answers == "print":
            print_answers(run, load_file(run.params())["infer"]["input"])
        words, code = closing_words(run)
        say(words)
        return code
    if run.headline.is_file():
        say(run.headline.read_text(encoding="utf-8").rstrip("\n"))
    return 0


def write_index(run: Run) -> None:
    """Write metrics, model card, what the terminal says, the page of all runs, the front page, and the receipt last.

    The receipt names the others; it goes first, so that it never names what has changed. Nothing of a fine-tuned run,
    whose front page tells what it has won.
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
        "stages": [{**told, "told": TOLD[told["stage"]], "page": run.page(told["stage"]).is_file()} for told in stages],
        "headline": headline_facts(run),
        "metrics": metric_rows(metrics),
        "sections": section_data(run),
        "code": ", ".join(sorted({told["commit"] for told in stages} - {""})),
        "finished": max(told["finished"] for told in stages),
        "total": f"{sum(sum(told['seconds'].values()) for told in stages):.0f}",
    }
    page |= write_card(run) | {"explore": explore_data(run), "pad": read_pad(run)}
    scripts = ["page.js", *(["explorer.js"] if page["explore"] else []), *(PAD_SCRIPTS if page["pad"] else [])]
    write_text(run.headline, headline_text(run))
    write_runs_table(run)
    write_text(run.index, render("index.html.j2", page, scripts=scripts))
    write_receipt(run)


def write_card(run: Run) -> dict[str, Any]:
    """Write `models/README.md`; returns what the page says of the same facts: nothing before the run is trained."""
    try:
        known = gather(run)
    except RunError:
        return {"things": "", "lead": "", "card": []}
    told = {"lead": lead(known), "sections": make_card(known)}
    write_text(run.card, render_markdown("model_card.md.j2", title=run.name, **told))
    return {"things": known.origin.things, "lead": told["lead"], "card": told["sections"]}


def read_pad(run: Run) -> dict[str, Any]:
    """What the page recognises drawings with; empty where there is none, or it is of other weights or thresholds."""
    try:
        pad = read_json(run.pad_json, hint="")
        trust = asdict(load_calibration(run)) | {"model": read_description(run)["weights_sha256"]}
    except RunError:
        return {}
    fits = all(pad.get(name) == value for name, value in trust.items())
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
  *  FALLBACK DATA: what was asked for was not found, nor could   *
  *  it be fetched. These are scikit-learn's 1,797 small digits.  *
  *  Set MNIST_DIR to the four MNIST files (data.local_dir to     *
  *  another dataset's), or go online, and run again.             *
  ****************************************************************
"""
