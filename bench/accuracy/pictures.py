"""`python -m bench.accuracy.pictures`: accuracy on picture files, of real pictures and of many rendered conditions.

Real pictures lie in the folder PICTURES (`single/`, `odd/`); pen drawings come from PEN_STROKES. The first fifteen
writers (`tune`) may be used to develop with, the other fifteen (`report`) give the figures. Nothing here is trained on.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.pictures.contact_sheet import write_sheet
from bench.pictures.rendered import CONDITIONS
from bench.pictures.sources import Labeled, all_sources
from mnistlib.core.formatting import Table
from mnistlib.inference.predictor import Predictor, load_predictor

SHARES = ("right", "accepted", "wrong_accepted", "each_seconds")


def score(predictor: Predictor, labeled: Labeled) -> tuple[dict[str, float], list[tuple[Path, str, str, Any]]]:
    """Return n and the shares right, accepted, wrong and accepted; and the wrong ones: path, label, answer, prediction.

    A picture without a digit is right when it is not accepted.
    """
    predictions = predictor.files([path for path, _ in labeled])
    answers = [answer(predictor, *item, p) for item, p in zip(labeled, predictions, strict=True)]
    accepted = np.array([taken for _, taken in answers])
    right = np.array(
        [said == label if label else not taken for (_, label), (said, taken) in zip(labeled, answers, strict=True)]
    )
    wrong = [(*labeled[i], answers[i][0], predictions[i]) for i in np.flatnonzero(~right)]
    return {
        "n": len(labeled),
        "right": float(right.mean()),
        "accepted": float(accepted.mean()),
        "wrong_accepted": float((accepted & ~right).mean()),
    }, wrong


def answer(predictor: Predictor, path: Path, label: str, prediction: Any) -> tuple[str, bool]:
    """Return the digits read and whether they are accepted; two digits are read as a page where that is known."""
    if len(label) < 2 or not hasattr(predictor, "page"):
        return str(prediction.digit), prediction.accepted
    text = "".join(number.text for number in predictor.page(path).numbers)
    return text, bool(text) and "?" not in text


def measure_pictures(
    run: str, writers: str = "report", count: int = 300, only: Sequence[str] = (), sheets: Path | None = None
) -> list[dict[str, Any]]:
    """Return a row of figures per condition; a line goes to stderr after each.

    Args:
        run: the run whose model predicts.
        writers: tune or report.
        count: pictures per rendered condition.
        only: parts of the conditions' names; empty for all.
        sheets: where to write a contact sheet of the wrong ones of each condition.
    """
    predictor = load_predictor(run)
    rows = []
    for source in all_sources(run):
        if only and not any(part in source.name for part in only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            labeled = source.files(Path(folder), count, writers)
            began = time.perf_counter()
            figures, wrong = score(predictor, labeled)
            each = (time.perf_counter() - began) / len(labeled)
            if sheets and wrong:
                write_sheet(sheets / f"{source.name.replace('/', '-')}.png", wrong)
        rows.append({"condition": source.name, **figures, "each_seconds": each})
        print(f"{source.name}: {figures['right']:.1%} right", file=sys.stderr, flush=True)
    return rows


def as_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the rows in percent, with the mean over the rendered conditions last."""
    pens = [row for row in rows if row["condition"] in CONDITIONS]
    if len(pens) > 1:
        shares = {key: float(np.mean([row[key] for row in pens])) for key in SHARES}
        rows = [*rows, {"condition": "all pen drawings", "n": sum(row["n"] for row in pens), **shares}]
    return Table(
        [
            {
                "condition": row["condition"],
                "n": row["n"],
                "right %": 100 * row["right"],
                "accepted %": 100 * row["accepted"],
                "wrong and accepted %": 100 * row["wrong_accepted"],
                "ms each": 1000 * row["each_seconds"],
            }
            for row in rows
        ],
        decimals=1,
    )


@click.command(help=__doc__)
@click.option("--run", default="default", show_default=True)
@click.option("--writers", type=click.Choice(["tune", "report"]), default="tune", show_default=True)
@click.option("--count", default=100, show_default=True, help="pictures per rendered condition")
@click.option("--only", default="", help="parts of conditions' names, separated by commas")
@click.option("--sheets", type=click.Path(path_type=Path), help="a folder for contact sheets of the wrong ones")
def main(run: str, writers: str, count: int, only: str, sheets: Path | None) -> None:
    parts = [part.strip() for part in only.split(",") if part.strip()]
    click.echo(as_table(measure_pictures(run, writers, count, parts, sheets)))


if __name__ == "__main__":
    main()
