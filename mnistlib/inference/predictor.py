"""One predictor for everything that is recognised: pictures, files, benchmarks."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT, file_digest, printable, read_json, shown, write_bytes, write_text
from mnistlib.evaluation.calibration import Calibration, load_calibration, rejection_reason
from mnistlib.evaluation.metrics import predict_logits, softmax
from mnistlib.imaging.framing import Stroke, rasterize
from mnistlib.imaging.image_files import read_batches, to_png
from mnistlib.runs.layout import Run, check_own_files, existing_runs
from mnistlib.runs.model_store import is_fine_tuned, retrain_advice
from mnistlib.training.numpy_network import NumpyNet, UnsupportedError, load_numpy_network

if TYPE_CHECKING:  # the answer for one picture should not wait for torch
    from mnistlib.training.fusion import FusedNet
    from mnistlib.training.model import DigitNet

AT_ONCE = 500
FORMULA = tuple("=+-@＝＋－＠\t\r\n")  # how one begins
BY_HAND = "lab"  # the run that notebooks work in when nobody names another


@dataclass(frozen=True)
class Prediction:
    """What a picture was recognised as.

    `digit`: the most probable; `probabilities`: float64, one per class, calibrated; `accepted`: whether the
    answer deserves trust; `image`: what the network saw, uint8 28×28; `rejection_reason`: the reason when not accepted.
    """

    digit: int
    probabilities: np.ndarray
    accepted: bool
    image: np.ndarray
    rejection_reason: str = ""

    @property
    def confidence(self) -> float:
        return float(self.probabilities.max())


@dataclass(frozen=True)
class Predictor:
    """A network with its calibration, the run that they come from, the SHA-256 of its weights, what it was trained on.

    Not to be changed; safe to share.
    """

    network: DigitNet | FusedNet | NumpyNet
    calibration: Calibration
    run: str
    model: str
    dataset: str

    def images(self, images: np.ndarray) -> list[Prediction]:
        """Recognise uint8 N×28×28 pictures, framed as MNIST. Raises ValueError for anything else."""
        if images.ndim != 3 or images.shape[1:] != (28, 28) or images.dtype != np.uint8:
            raise ValueError(f"expected uint8 N×28×28, found {images.dtype} {images.shape}")
        logits = predict_logits(self.network, images)
        if not np.isfinite(logits).all():
            what = f"the model of runs/{self.run} gives logits that are not finite numbers"
            raise RunError(f"{what}: {retrain_advice(Run(self.run))}")
        probabilities = softmax(logits, self.calibration.temperature)
        doubts = rejection_reason(logits, self.calibration).tolist()
        return [answer(*parts) for parts in zip(probabilities, images, doubts, strict=True)]

    def strokes(self, drawing: Sequence[Stroke]) -> Prediction:
        """Recognise a drawing: strokes of (x, y), y down, any units. Raises ValueError for what is no drawing."""
        return self.images(rasterize(drawing)[None])[0]

    def files(
        self, paths: Iterable[str | Path], on_progress: Callable[[int, int], None] = lambda done, total: None
    ) -> list[Prediction]:
        """Recognise picture files, in order; one that cannot be read is a prediction not accepted, with the reason.

        A few hundred at a time; `on_progress(done, of_how_many)` after each lot. Raises TypeError for a path alone.
        """
        if isinstance(paths, str | Path):
            raise TypeError(f"expected a list of paths, found {str(paths)!r} alone: write [path]")
        files = [Path(path) for path in paths]
        predictions: list[Prediction] = []
        for images, reasons in read_batches(files, AT_ONCE):
            answers = zip(self.images(images), reasons, strict=True)
            predictions += [unreadable(answer, why) if why else answer for answer, why in answers]
            on_progress(len(predictions), len(files))
        return predictions


def answer(probabilities: np.ndarray, image: np.ndarray, doubt: str) -> Prediction:
    """The answer for one picture: accepted when there is ink and no doubt."""
    reason = doubt if image.any() else "no ink"
    return Prediction(int(probabilities.argmax()), probabilities, not reason, image, reason)


def unreadable(prediction: Prediction, reason: str) -> Prediction:
    """The answer for a picture that could not be read: every digit as probable as another."""
    even = np.full_like(prediction.probabilities, 1 / len(prediction.probabilities))
    return Prediction(0, even, False, prediction.image, reason)


def load_predictor(run: str | Path) -> Predictor:
    """Load the predictor of a trained run.

    Args:
        run: its name, or its folder as text or path; a relative folder lies in the current folder or in the project's.

    Raises:
        RunError: when there is no such run, or its model or calibration is missing or damaged.
    """
    from mnistlib.training.fusion import FusedNet
    from mnistlib.training.model import load_model

    chosen = find_run(run)
    return assemble(chosen, FusedNet(load_model(chosen)))


def quick_predictor(run: str | Path) -> Predictor:
    """Load the same predictor without torch, for a few pictures; with torch where NumPy cannot compute the network.

    Args and Raises as for `load_predictor`.
    """
    chosen = find_run(run)
    try:
        return assemble(chosen, load_numpy_network(chosen))
    except UnsupportedError:
        return load_predictor(chosen.folder)


def assemble(run: Run, network: FusedNet | NumpyNet) -> Predictor:
    """The predictor of a run whose network is loaded. Raises RunError."""
    check_own_files(run)
    return Predictor(network, load_calibration(run), run.name, file_digest(run.weights), trained_on(run))


def find_run(run: str | Path) -> Run:
    """The run that a name or a folder stands for. Raises RunError for what cannot be one."""
    folder = Path(run).expanduser()
    if len(folder.parts) == 1 and (isinstance(run, str) or not folder.is_dir()):
        return Run(str(folder))
    place = folder.absolute() if folder.is_dir() else ROOT / folder
    return Run(place.name, place.parent)


def usable_run(wanted: str) -> str:
    """`wanted` when it holds a whole model; for the notebooks' own `lab` else the newest run that does, MNIST first.

    Raises RunError when there is none: a run that somebody named answers itself or not at all.
    """
    whole = [run for run in existing_runs() if run.calibration_json.is_file() and run.model_json.is_file()]
    names = [run.name for run in whole]
    if wanted in names:
        return wanted
    if wanted != BY_HAND:
        run, again = Run(wanted), f"run 01 to 04 in it, or make all RUN={wanted}"
        raise RunError(f"runs/{wanted} holds no whole model: {retrain_advice(run) if is_fine_tuned(run) else again}")
    if not whole:
        raise RunError(f"runs/{wanted} holds no trained model and no other run does: run 01 to 04, or make all")
    return next((run.name for run in whole if is_on_mnist(run)), names[0])


def is_on_mnist(run: Run) -> bool:
    """Return whether a run's model was trained on MNIST, as far as its description can be read."""
    try:
        return trained_on(run) == "mnist"
    except RunError:
        return False


def trained_on(run: Run) -> str:
    """The dataset that a run's model was trained on, "None" where that is not known. Raises RunError."""
    training = read_json(run.model_json, hint="run 03_train again").get("training")
    return str(training.get("dataset") if isinstance(training, dict) else None)


def prediction_rows(paths: Sequence[Path], predictions: Sequence[Prediction]) -> list[dict[str, object]]:
    """One row per file: what it was recognised as, how surely, and why not when not."""
    return [
        {
            "file": printable(shown(path)),
            "digit": p.digit if p.image.any() else "",
            "probability": round(p.confidence, 6) if p.image.any() else "",
            "accepted": p.accepted,
            "rejection_reason": printable(p.rejection_reason),
        }
        for path, p in zip(paths, predictions, strict=True)
    ]


def doubtful_first(paths: Sequence[Path], predictions: Sequence[Prediction]) -> tuple[list[Path], list[Prediction]]:
    """The same, what is not accepted before what is: of many pictures those that somebody should look at."""
    order = sorted(range(len(paths)), key=lambda i: predictions[i].accepted)
    return [paths[i] for i in order], [predictions[i] for i in order]


def summarise(predictions: Sequence[Prediction]) -> dict[str, int]:
    """How many pictures were given, accepted, and could not be read."""
    unread = sum(not p.image.any() for p in predictions)
    accepted = sum(p.accepted for p in predictions)
    return {"infer_count": len(predictions), "infer_accepted": accepted, "infer_unreadable": unread}


def save_predictions_csv(run: Run, rows: Sequence[dict[str, object]]) -> Path:
    """Write `data/inference/predictions.csv`; returns where."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: no_formula(value) for name, value in row.items()} for row in rows)
    path = predictions_csv(run)
    write_text(path, text.getvalue())
    return path


def no_formula(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: a text that begins like one stands behind an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def predictions_csv(run: Run) -> Path:
    """Where the answers for the pictures given to a run are kept."""
    return run.inference / "predictions.csv"


def write_examples(run: Run, images: np.ndarray, labels: np.ndarray, count: int, seed: int) -> list[Path]:
    """A random sample of the test digits as PNG in `data/inference/examples/`, replaced each time; in order of drawing.

    Drawn without looking at any answer, so that the share accepted is near the coverage.
    """
    folder = run.inference / "examples"
    for old in folder.glob("test_*_is_*.png"):
        old.unlink()
    chosen = np.random.default_rng(seed).permutation(len(labels))[:count]
    paths = [folder / f"test_{i:05d}_is_{labels[i]}.png" for i in chosen]
    for path, i in zip(paths, chosen, strict=True):
        write_bytes(path, to_png(np.asarray(images[i])))
    return paths
