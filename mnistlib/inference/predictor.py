"""The predictor: one interface for strokes, image arrays and image files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT, file_digest, read_json
from mnistlib.evaluation.calibration import Calibration, load_calibration, rejection_reason
from mnistlib.evaluation.metrics import predict_logits, softmax
from mnistlib.imaging.framing import Stroke, rasterize
from mnistlib.imaging.image_files import read_batches
from mnistlib.inference.pages import read_picture
from mnistlib.inference.prediction import Page
from mnistlib.inference.prediction import Prediction as Prediction  # users import it from here
from mnistlib.runs.layout import Run, check_own_files, existing_runs
from mnistlib.runs.model_store import is_fine_tuned, retrain_advice
from mnistlib.training.numpy_network import NumpyNet, UnsupportedError, load_numpy_network

if TYPE_CHECKING:  # a prediction for one image should not wait for torch
    from mnistlib.training.fusion import FusedNet
    from mnistlib.training.model import DigitNet

AT_ONCE = 500
BY_HAND = "lab"  # the default run of notebooks that are run by hand


@dataclass(frozen=True)
class Predictor:
    """A network with its calibration; immutable and safe to share between threads.

    Attributes:
        network: in torch or NumPy.
        calibration: temperature and thresholds.
        run: name of the run it comes from.
        model: SHA-256 of the weights, in hex.
        dataset: what it was trained on.
    """

    network: DigitNet | FusedNet | NumpyNet
    calibration: Calibration
    run: str
    model: str
    dataset: str

    def images(self, images: np.ndarray) -> list[Prediction]:
        """Predict images framed as in MNIST.

        Args:
            images: uint8 N×28×28, ink bright on dark.

        Raises:
            ValueError: for another shape or dtype.
            RunError: when the network returns logits that are not finite.
        """
        if images.ndim != 3 or images.shape[1:] != (28, 28) or images.dtype != np.uint8:
            raise ValueError(f"expected uint8 N×28×28, found {images.dtype} {images.shape}")
        logits = predict_logits(self.network, images)
        if not np.isfinite(logits).all():
            what = f"the model of runs/{self.run} gives logits that are not finite numbers"
            raise RunError(f"{what}: {retrain_advice(Run(self.run))}")
        probabilities = softmax(logits, self.calibration.temperature)
        reasons = rejection_reason(logits, self.calibration).tolist()
        return [answer(*row) for row in zip(probabilities, images, reasons, strict=True)]

    def strokes(self, drawing: Sequence[Stroke]) -> Prediction:
        """Predict a drawing.

        Args:
            drawing: strokes, each a sequence of (x, y) in any unit, y down.

        Raises:
            ValueError: for anything else.
        """
        return self.images(rasterize(drawing)[None])[0]

    def files(
        self, paths: Iterable[str | Path], on_progress: Callable[[int, int], None] = lambda done, total: None
    ) -> list[Prediction]:
        """Predict image files in batches of 500.

        Args:
            paths: the files; their order is kept.
            on_progress: called with (files done, files in all) after each batch.

        Returns:
            One prediction per file; a file that cannot be read is rejected with the reason.

        Raises:
            TypeError: for a single path instead of a list.
        """
        if isinstance(paths, str | Path):
            raise TypeError(f"expected a list of paths, found {str(paths)!r} alone: write [path]")
        files = [Path(path) for path in paths]
        predictions: list[Prediction] = []
        for images, reasons in read_batches(files, AT_ONCE):
            batch = zip(self.images(images), reasons, strict=True)
            predictions += [unreadable(answer, reason) if reason else answer for answer, reason in batch]
            on_progress(len(predictions), len(files))
        return predictions

    def page(self, picture: str | Path | np.ndarray, layout: str = "auto") -> Page:
        """Read the numbers on a page, or in the boxes of a form.

        Args:
            picture: a file; or its pixels, uint8 H×W or H×W×3.
            layout: page, boxes (one digit per printed box), or auto.

        Returns:
            The numbers in reading order, with boxes in the picture's own pixels, held upright as its camera was.

        Raises:
            PictureError: the file cannot be read.
            ValueError: pixels of another shape or dtype.
        """
        return read_picture(self.images, picture, layout)


def answer(probabilities: np.ndarray, image: np.ndarray, reason: str) -> Prediction:
    """Build the prediction for one image; it is accepted when it has ink and no rejection reason."""
    reason = reason if image.any() else "no ink"
    return Prediction(int(probabilities.argmax()), probabilities, not reason, image, reason)


def unreadable(prediction: Prediction, reason: str) -> Prediction:
    """Build the prediction for a file that cannot be read: all classes equally probable."""
    even = np.full_like(prediction.probabilities, 1 / len(prediction.probabilities))
    return Prediction(0, even, False, prediction.image, reason)


def load_predictor(run: str | Path) -> Predictor:
    """Load the predictor of a trained run.

    Args:
        run: its name, or its folder as text or path, relative to the current folder or to the project's.

    Raises:
        RunError: when there is no such run, or its model or calibration is missing or damaged.
    """
    from mnistlib.training.fusion import FusedNet
    from mnistlib.training.model import load_model

    chosen = find_run(run)
    return assemble(chosen, FusedNet(load_model(chosen)))


def quick_predictor(run: str | Path) -> Predictor:
    """Load the same predictor without torch, or with torch where NumPy cannot compute the network."""
    chosen = find_run(run)
    try:
        return assemble(chosen, load_numpy_network(chosen))
    except UnsupportedError:
        return load_predictor(chosen.folder)


def assemble(run: Run, network: FusedNet | NumpyNet) -> Predictor:
    """Build the predictor of a run whose network is loaded. Raises RunError."""
    check_own_files(run)
    return Predictor(network, load_calibration(run), run.name, file_digest(run.weights), trained_on(run))


def find_run(run: str | Path) -> Run:
    """Return the run of a name or folder. Raises RunError for an impossible name."""
    folder = Path(run).expanduser()
    if len(folder.parts) == 1 and (isinstance(run, str) or not folder.is_dir()):
        return Run(str(folder))
    place = folder.absolute() if folder.is_dir() else ROOT / folder
    return Run(place.name, place.parent)


def usable_run(wanted: str) -> str:
    """Return the name of a run with a complete model.

    Args:
        wanted: a run's name; for "lab", the notebooks' own, the newest run stands in, MNIST first.

    Raises:
        RunError: when the wanted run, or for "lab" every run, has no complete model.
    """
    complete = [run for run in existing_runs() if run.calibration_json.is_file() and run.model_json.is_file()]
    names = [run.name for run in complete]
    if wanted in names:
        return wanted
    if wanted != BY_HAND:
        run, advice = Run(wanted), f"run 01 to 04 in it, or make all RUN={wanted}"
        advice = retrain_advice(run) if is_fine_tuned(run) else advice
        raise RunError(f"runs/{wanted} holds no complete model: {advice}")
    if not complete:
        raise RunError(f"neither runs/{wanted} nor another run holds a model: run 01 to 04, or make all")
    return next((run.name for run in complete if is_on_mnist(run)), names[0])


def is_on_mnist(run: Run) -> bool:
    """Return whether a run's model was trained on MNIST; False when its description cannot be read."""
    try:
        return trained_on(run) == "mnist"
    except RunError:
        return False


def trained_on(run: Run) -> str:
    """Return the dataset that a run's model was trained on, "None" if its description does not say. Raises RunError."""
    training = read_json(run.model_json, hint="run 03_train again").get("training")
    return str(training.get("dataset") if isinstance(training, dict) else None)
