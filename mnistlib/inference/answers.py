"""The answers for pictures that people give, as lines in the terminal: at once, before any page is made."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mnistlib.core.errors import RunError
from mnistlib.core.files import printable, read_regular, shown
from mnistlib.core.formatting import counted, sure
from mnistlib.imaging.image_files import given_pictures, pictures_at
from mnistlib.imaging.image_formats import left_out_words, with_pages
from mnistlib.inference.predictor import Prediction, find_run, predictions_csv, quick_predictor
from mnistlib.runs import layout
from mnistlib.runs.layout import Run, existing_runs, nearest

FIRST = 20
LARGEST = 500_000_000  # bytes of predictions.csv; a picture takes about 100
WIDEST = 60


def print_answers(run: Run, text: str) -> None:
    """Print the answers for the first pictures that INPUT names, how many more there are, and what was left out.

    Args:
        run: a run with a model and its calibration.
        text: INPUT, as `pictures.find_pictures` takes it.

    Raises:
        RunError: when there are no pictures, or the run's model or calibration is damaged.
    """
    paths, left_out = given_pictures(text)
    predictions = quick_predictor(run.folder).files(paths[:FIRST])
    print("\n".join(answer_lines(paths[:FIRST], predictions)))
    if len(paths) > FIRST:
        print(f"and {counted(len(paths) - FIRST, 'more picture')}: all answers will be in {predictions_csv(run)}")
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
        print(left_out_words(left_out), file=sys.stderr)
    predictor = quick_predictor(trained_run(run).folder)
    predictions = predictor.files(paths)
    if as_json:
        found = as_objects(paths, predictions, predictor.run)
        print(json.dumps(found, indent=2, ensure_ascii=not all(str(one["file"]).isprintable() for one in found)))
    else:
        print("\n".join([*answer_lines(paths, predictions), summary(outcome(predictions))]))
    return exit_code(outcome(predictions))


def files_of(path: Path, left_out: Counter[str]) -> list[Path]:
    """Return a folder's pictures, or the path itself, whatever is there. Raises RunError."""
    try:
        return pictures_at(path, left_out) if path.is_dir() else [path]
    except OSError as error:
        raise RunError(f"{shown(path)} cannot be read: {error.strerror}") from error


def as_objects(paths: Sequence[Path], predictions: Sequence[Prediction], run: str) -> list[dict[str, object]]:
    """Return one object per picture; digit and confidence are None where it could not be read."""
    return [
        {
            "file": shown(path),
            "digit": p.digit if p.image.any() else None,
            "confidence": round(p.confidence, 6) if p.image.any() else None,
            "accepted": p.accepted,
            "reason": p.rejection_reason,
            "run": run,
        }
        for path, p in zip(paths, predictions, strict=True)
    ]


def closing_words(run: Run) -> tuple[str, int]:
    """What to print once 06_infer has run, and the exit code: 1 when none of the pictures could be read.

    The words give the counts, the whole path of predictions.csv and the report's address. Raises RunError.
    """
    answers = predictions_csv(run).absolute()
    try:
        table = csv.DictReader(io.StringIO(read_regular(answers, LARGEST).decode(), newline=""))
        if not {"digit", "accepted"} <= {*(table.fieldnames or ())}:
            raise ValueError("without its columns")
        rows = [(row["digit"] != "", row["accepted"] == "True") for row in table]
    except (OSError, KeyError, ValueError, csv.Error) as error:
        again = f"delete it, and make infer RUN={run.name} writes it"
        raise RunError(f"{shown(answers)} is missing or damaged: {again}") from error
    words = [
        summary(rows),
        f"answers  {answers}",
        f"report   {run.page('06_infer').absolute().as_uri()}",
    ]
    return "\n".join(words), exit_code(rows)


def summary(rows: Sequence[tuple[bool, bool]]) -> str:
    """How many pictures were accepted, not accepted and not read; `rows`: whether each was read, and accepted."""
    accepted, unread = sum(yes for _, yes in rows), sum(not read for read, _ in rows)
    rejected = len(rows) - accepted - unread
    return f"{counted(len(rows), 'picture')}: {accepted:,} accepted, {rejected:,} rejected, {unread:,} not readable"


def exit_code(rows: Sequence[tuple[bool, bool]]) -> int:
    """1 when nothing could be read, else 0."""
    return int(not any(read for read, _ in rows))


def outcome(predictions: Sequence[Prediction]) -> list[tuple[bool, bool]]:
    """Whether each picture was read, and whether its answer was accepted."""
    return [(bool(p.image.any()), p.accepted) for p in predictions]


def answer_lines(paths: Sequence[Path], predictions: Sequence[Prediction]) -> list[str]:
    """One line a picture: its file, the digit, the confidence, and why not where it is not accepted."""
    names = [printable(shown(path)) for path in paths]
    width = min(WIDEST, max(map(len, names), default=0))
    return [answer_line(name.ljust(width), p) for name, p in zip(names, predictions, strict=True)]


def answer_line(name: str, p: Prediction) -> str:
    """The line of one picture."""
    reason = printable(p.rejection_reason)
    if not p.image.any():
        return f"{name}  -           {reason}"
    return f"{name}  {p.digit}  {sure(p.confidence):>7}" + (f"  rejected: {reason}" if reason else "")


def trained_run(wanted: str) -> Run:
    """The run of this name or folder. Raises RunError, saying what to do, when it holds no trained model."""
    run = find_run(wanted)
    if run.model_json.is_file():
        return run
    if run.folder.parent != layout.RUNS:
        raise RunError(f"{shown(run.folder)} holds no trained model: make all in the project that it is of trains one")
    setting = "" if run.name == "default" else f" RUN={run.name}"
    there = nearest(run.name) or next((other.name for other in existing_runs()), "")
    hint = f", or --run {there} takes one that is there" if there and there != run.name else ""
    raise RunError(f"{shown(run.folder)} holds no trained model: make all{setting} trains one{hint}")
