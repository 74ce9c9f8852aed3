"""The command line: `python -m mnistlib predict photo.jpg [more …] [--run default] [--json]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mnistlib.core.errors import RunError, in_words
from mnistlib.core.files import shown
from mnistlib.imaging.image_files import pictures_at
from mnistlib.imaging.image_formats import describe_left_out, with_pages
from mnistlib.inference.predictor import Prediction, quick_predictor
from mnistlib.inference.terminal_output import exit_code, outcome, prediction_lines, summary, trained_run


@in_words("interrupted")
def main() -> int:
    """Run a command; returns the exit code: 0 when a picture was read, 1 when none was, 2 for a wrong call."""
    parser = argparse.ArgumentParser(prog="python -m mnistlib", description="A digit classifier.")
    commands = parser.add_subparsers(required=True, metavar="command")
    predict = commands.add_parser("predict", help="recognise pictures", description="Recognise pictures of digits.")
    predict.add_argument("pictures", nargs="+", help="picture files, or folders of them")
    predict.add_argument("--run", default="default", help="the trained run to use: its name or folder (default)")
    predict.add_argument("--json", action="store_true", help="print a list of objects instead of lines")
    predict.set_defaults(command=predict_command)
    given = parser.parse_args()
    return int(given.command(given))


def predict_command(given: argparse.Namespace) -> int:
    """Recognise the pictures given and print what they are. Raises RunError."""
    left_out: Counter[str] = Counter()
    paths = with_pages(path for name in given.pictures for path in files_of(Path(name).expanduser(), left_out))
    if left_out:
        print(describe_left_out(left_out), file=sys.stderr)
    predictor = quick_predictor(trained_run(given.run).folder)
    predictions = predictor.files(paths)
    if given.json:
        found = as_objects(paths, predictions, predictor.run)
        print(json.dumps(found, indent=2, ensure_ascii=not all(str(one["file"]).isprintable() for one in found)))
    else:
        print("\n".join([*prediction_lines(paths, predictions), summary(outcome(predictions))]))
    return exit_code(outcome(predictions))


def files_of(path: Path, left_out: Counter[str]) -> list[Path]:
    """A folder's pictures, or the path itself, whatever is there. Raises RunError."""
    try:
        return pictures_at(path, left_out) if path.is_dir() else [path]
    except OSError as error:
        raise RunError(f"{shown(path)} cannot be read: {error.strerror}") from error


def as_objects(paths: Sequence[Path], predictions: Sequence[Prediction], run: str) -> list[dict[str, object]]:
    """One object per picture; digit and confidence are None where it could not be read."""
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


if __name__ == "__main__":
    sys.exit(main())
