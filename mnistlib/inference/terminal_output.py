"""Predictions for a person's image files, as lines in the terminal."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mnistlib.core.errors import RunError
from mnistlib.core.files import printable, read_regular, shown
from mnistlib.core.formatting import confidence_text, counted
from mnistlib.evaluation.calibration import Calibration, load_calibration
from mnistlib.imaging.image_files import input_pictures, pictures_at
from mnistlib.imaging.image_formats import describe_left_out, with_pages
from mnistlib.inference.batch_summary import Rows, describe_labels, is_accepted, label_metrics, unlike_training
from mnistlib.inference.page_table import EMPTY, as_object, describe_page, digit_rows, read_pages
from mnistlib.inference.prediction import Page
from mnistlib.inference.prediction_table import prediction_rows, predictions_csv
from mnistlib.inference.predictor import Prediction, find_run, quick_predictor
from mnistlib.runs import layout
from mnistlib.runs.layout import Run, existing_runs, nearest_run
from mnistlib.runs.model_store import is_fine_tuned, retrain_advice

FIRST = 20
LARGEST = 500_000_000  # bytes of predictions.csv; a row takes about 100
WIDEST = 60

Outcome = dict[str, tuple[bool, bool]]  # by file: whether it was read, and accepted


def print_predictions(run: Run, text: str, layout: str = "auto") -> None:
    """Print the predictions for the first 20 files, how many more there are, and which kinds were left out.

    Args:
        run: a run with a model and its calibration.
        text: the parameter INPUT, files and folders as `image_files.find_pictures` takes it.
        layout: the parameter infer.layout.

    Raises:
        RunError: when there are no images, or the run's model or calibration is damaged.
    """
    paths, left_out = input_pictures(text)
    predictor = quick_predictor(run.folder)
    predictions = predictor.files(paths[:FIRST])
    pages = read_pages(predictor, paths[:FIRST], predictions, layout)
    print("\n".join(prediction_lines(paths[:FIRST], predictions, pages)))
    if len(paths) > FIRST:
        print(f"and {counted(len(paths) - FIRST, 'more picture')}: all predictions will be in {predictions_csv(run)}")
    if left_out:
        print(left_out)


def predict_files(names: Sequence[str], run: str, as_json: bool) -> int:
    """Recognize pictures and print what they are.

    Args:
        names: picture files, or folders of them.
        run: name or folder of a trained run.
        as_json: print a list of objects instead of lines.

    Returns:
        The exit code: 0 when a picture was read, 1 when none was.

    Raises:
        RunError: a folder or the model cannot be read.
    """
    left_out: Counter[str] = Counter()
    paths = with_pages(path for name in names for path in files_of(Path(name).expanduser(), left_out))
    if left_out:
        print(describe_left_out(left_out), file=sys.stderr)
    predictor = quick_predictor(trained_run(run).folder)
    predictions = predictor.files(paths)
    pages = read_pages(predictor, paths, predictions, "auto")
    if as_json:
        objects = as_objects(paths, predictions, predictor.run, pages)
        print(json.dumps(objects, indent=2, ensure_ascii=not all(str(one["file"]).isprintable() for one in objects)))
    else:
        rows = prediction_rows(paths, predictions)
        found = notable([row for i, row in enumerate(rows) if i not in pages], predictor.calibration)
        read = summary(outcome(digit_rows(paths, rows, pages)))
        print("\n".join([*prediction_lines(paths, predictions, pages), read, *found]))
    return int(not any(p.image.any() for p in predictions))


def files_of(path: Path, left_out: Counter[str]) -> list[Path]:
    """Return a folder's pictures, or the path itself, whatever is there. Raises RunError."""
    try:
        return pictures_at(path, left_out) if path.is_dir() else [path]
    except OSError as error:
        raise RunError(f"{shown(path)} cannot be read: {error.strerror}") from error


def as_objects(
    paths: Sequence[Path], predictions: Sequence[Prediction], run: str, pages: Mapping[int, Page]
) -> list[dict[str, object]]:
    """Return one object per picture; digit and confidence are None where it could not be read. A page has numbers."""
    return [
        {
            "file": shown(path),
            "digit": p.digit if p.image.any() else None,
            "confidence": round(p.confidence, 6) if p.image.any() else None,
            "accepted": p.accepted,
            "reason": p.rejection_reason,
            "run": run,
            **(page_object(pages[i]) if i in pages else {}),
        }
        for i, (path, p) in enumerate(zip(paths, predictions, strict=True))
    ]


def page_object(page: Page) -> dict[str, object]:
    """Return what differs for a page: no digit of its own, but numbers; accepted if all digits are."""
    whole = {"digit": None, "confidence": None, "reason": ""}
    accepted = all(digit.prediction.accepted for digit in page.digits)
    return whole | {"accepted": accepted, "numbers": [as_object(number) for number in page.numbers]}


def results_message(run: Run) -> tuple[str, int]:
    """Return what to print once 06_infer has run, and the exit code: 1 when no file could be read.

    The message holds the counts, what is notable, the path of `predictions.csv` and the report's address.

    Raises:
        RunError: when `predictions.csv` is missing or damaged.
    """
    answers = predictions_csv(run).absolute()
    try:
        table = csv.DictReader(io.StringIO(read_regular(answers, LARGEST).decode(), newline=""))
        if not {"digit", "accepted"} <= {*(table.fieldnames or ())}:
            raise ValueError("without its columns")
        kept = list(table)
        rows = outcome(kept)
        found = notable([row for row in kept if not row.get("number")], load_calibration(run))
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        again = f"delete it, and make infer RUN={run.name} writes it"
        raise RunError(f"{shown(answers)} is missing or damaged: {again}") from error
    report = run.page("06_infer").absolute().as_uri()
    text = "\n".join([summary(rows), *found, f"answers  {answers}", f"report   {report}"])
    return text, int(not any(read for read, _ in rows.values()))


def notable(rows: Rows, calibration: Calibration) -> list[str]:
    """Return a line with the accuracy on labeled folders, and one where the pictures are unlike the training data."""
    return [line for line in (describe_labels(label_metrics(rows)), unlike_training(rows, calibration)) if line]


def summary(files: Outcome) -> str:
    """Return the counts of pictures in words."""
    accepted, unread = sum(yes for _, yes in files.values()), sum(not read for read, _ in files.values())
    rejected = len(files) - accepted - unread
    return f"{counted(len(files), 'picture')}: {accepted:,} accepted, {rejected:,} rejected, {unread:,} not readable"


def outcome(rows: Rows) -> Outcome:
    """Return by file whether it was read, and whether all of it is accepted, from the rows of `predictions.csv`.

    A file that was given twice counts once; the empty boxes of a form do not count.
    """
    files: Outcome = {}
    for row in rows:
        if row.get("rejection_reason") != EMPTY:
            read, accepted = files.get(str(row["file"]), (False, True))
            files[str(row["file"])] = (read or row["digit"] != "", accepted and is_accepted(row))
    return files


def prediction_lines(paths: Sequence[Path], predictions: Sequence[Prediction], pages: Mapping[int, Page]) -> list[str]:
    """Return one line per file: name, digit, confidence, and the rejection reason; of a page, what was read."""
    names = [printable(shown(path)) for path in paths]
    width = min(WIDEST, max(map(len, names), default=0))
    return [
        f"{name.ljust(width)}  {describe_page(pages[i])}" if i in pages else prediction_line(name.ljust(width), p)
        for i, (name, p) in enumerate(zip(names, predictions, strict=True))
    ]


def prediction_line(name: str, p: Prediction) -> str:
    reason = printable(p.rejection_reason)
    if not p.image.any():
        return f"{name}  -           {reason}"
    return f"{name}  {p.digit}  {confidence_text(p.confidence):>7}" + (f"  rejected: {reason}" if reason else "")


def trained_run(wanted: str) -> Run:
    """Return the run of a name or folder. Raises RunError, with advice, when it holds no trained model."""
    run = find_run(wanted)
    if run.model_json.is_file():
        return run
    if run.folder.parent != layout.RUNS:
        raise RunError(f"{shown(run.folder)} holds no trained model: run make all in its own project")
    if is_fine_tuned(run):
        raise RunError(f"{shown(run.folder)} holds no trained model: {retrain_advice(run)}")
    setting = "" if run.name == "default" else f" RUN={run.name}"
    there = nearest_run(run.name) or next((other.name for other in existing_runs()), "")
    hint = f", or use --run {there}" if there and there != run.name else ""
    raise RunError(f"{shown(run.folder)} holds no trained model: make all{setting} trains one{hint}")
