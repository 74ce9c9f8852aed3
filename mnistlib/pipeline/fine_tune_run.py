"""Fine-tune a run's model on a person's own drawings, into a new run: `make teach RUN=default`."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from mnistlib.core.config import DEFAULT
from mnistlib.core.errors import RunError
from mnistlib.core.files import link_or_copy, remove_stale, shown, write_json, write_text
from mnistlib.core.formatting import Table, percent
from mnistlib.data.datasets import shows_digits
from mnistlib.data.outlier_exposure import make_outliers
from mnistlib.data.preprocess import Split, load_split, load_statistics
from mnistlib.evaluation.augmented_logits import load_distortion, predict_augmented
from mnistlib.evaluation.calibration import calibrate, save_calibration
from mnistlib.evaluation.metrics import accuracy, predict_logits
from mnistlib.inference.drawings import Drawing, load_handwriting
from mnistlib.inference.fine_tune import FineTuneRecipe, augment_drawings, fine_tune, split_drawings
from mnistlib.inference.predictor import trained_on
from mnistlib.reporting.figures import keep_figure
from mnistlib.reporting.pages import render
from mnistlib.reporting.plots.inference import plot_before_after
from mnistlib.reporting.runs_table import write_runs_table_page
from mnistlib.runs import layout
from mnistlib.runs.layout import Run, check_own_files, existing_run
from mnistlib.runs.model_store import check_made_by_make, read_description
from mnistlib.runs.state import parameters_used
from mnistlib.training.model import DigitNet, load_model, save_model
from mnistlib.training.tensor_dataset import TensorDataset

FEWEST = 10


def teach_run(name: str) -> int:
    """Fine-tune the model of a run on the corrected drawings, into a new run.

    Args:
        name: of the run; empty for the default's.

    Returns:
        The exit code, 0.

    Raises:
        RunError: there is no such run, its model knows no digits, or there are too few drawings.
    """
    print(make_fine_tuned_run(existing_run(name or DEFAULT)))
    return 0


def make_fine_tuned_run(base: Run, seed: int = 0) -> str:
    """Teach, calibrate, score and keep: returns what is said in the terminal. Raises RunError; nothing is kept then."""
    began, recipe = time.perf_counter(), FineTuneRecipe()
    check_own_files(base)
    check_made_by_make(base)
    network, drawings = load_model(base), load_handwriting()
    check_can_fine_tune(base, drawings)
    val, test = load_split(base, "val"), load_split(base, "test")
    learned, held = split_drawings(drawings)
    tuned = fine_tune(network, augment_drawings(learned, recipe.versions, seed), rehearse(base, seed), recipe, seed)
    scores = {"drawings_learned": len(learned), "drawings_held_back": len(held), "fine_tuned_from": base.name}
    before, after = answers(network, held), answers(tuned, held)
    scores |= measure(network, held, before, test, "before")
    scores |= measure(tuned, held, after, test, "after")
    with new_run(base) as run:
        keep_fine_tuned_run(base, run, tuned, val, scores, seed)
        scores["teach_seconds"] = time.perf_counter() - began
        write_json(run.teach_json, scores)
        write_page(run, scores, held, before, after)
    write_runs_table_page()
    return summary(Run(run.name), scores)


def check_can_fine_tune(base: Run, drawings: Sequence[Drawing]) -> None:
    """Raises RunError when the model tells no digits apart, or the drawings are too few."""
    dataset = trained_on(base)
    if not shows_digits(dataset):
        raise RunError(
            f"the model of {shown(base.folder)} was trained on {dataset}, which has no digits, and your drawings are "
            "digits: make teach RUN=… with a run whose model tells digits apart"
        )
    if len(drawings) < FEWEST:
        raise RunError(
            f"{len(drawings)} drawings with their right digit are too few to learn from, {FEWEST} are the least and "
            "five of each digit are good: draw in notebook 06 (make lab) and click the right digit of each"
        )


def rehearse(base: Run, seed: int) -> TensorDataset:
    """Return what the network sees again beside new drawings so that it does not forget: training set and outliers."""
    split, share = load_split(base, "train"), setting(base, "train", "outliers")
    outlier_images = make_outliers(round(share * len(split.labels)), load_statistics(base)["classes"], seed)
    return TensorDataset.of(torch.device("cpu"), split, outlier_images)


@contextmanager
def new_run(base: Run) -> Iterator[Run]:
    """Yield a new run: the first free name of BASE-taught, BASE-taught-2, …; it gets the name once it is whole.

    Raises RunError when it cannot be made.
    """
    remove_stale(layout.RUNS.glob(f".{base.name}-taught*.part"))
    names = (f"{base.name}-taught{f'-{n}' if n > 1 else ''}" for n in itertools.count(1))
    run = next(run for name in names if (run := claim(name)))
    try:
        yield run
        rename(run)
    finally:
        shutil.rmtree(run.folder.parent, ignore_errors=True)


def rename(run: Run) -> None:
    """Give the finished run its name. Raises RunError where something else has taken it."""
    place = Run(run.name).folder
    try:
        run.folder.rename(place)
    except OSError as error:
        raise RunError(f"cannot write {shown(place)}: {error.strerror}") from error


def claim(name: str) -> Run | None:
    """The run in a folder beside, made just now by nobody else; None where its name is taken. Raises RunError."""
    beside = layout.RUNS / f".{name}.part"
    if Run(name).folder.exists():
        return None
    try:
        beside.mkdir()
        (beside / name).mkdir()
    except FileExistsError:
        return None
    except OSError as error:
        raise RunError(f"cannot write {shown(Run(name).folder)}: {error.strerror}. Is runs/ writable?") from error
    return Run(name, beside)


def answers(network: DigitNet, drawings: Sequence[Drawing]) -> np.ndarray:
    """The digit that each drawing is taken for, int64 N."""
    images = np.stack([d.image for d in drawings]) if drawings else np.zeros((0, 28, 28), np.uint8)
    return predict_logits(network, images).argmax(1)


def measure(network: DigitNet, held: Sequence[Drawing], said: np.ndarray, test: Split, when: str) -> dict[str, Any]:
    """How many drawings kept back are right by what was `said` of them, and the accuracy on the test set."""
    right = sum(drawing.label == int(answer) for drawing, answer in zip(held, said, strict=True))
    accurate = accuracy(predict_logits(network, test.images), test.labels)
    return {f"held_back_right_{when}": right, f"test_accuracy_{when}": accurate}


def keep_fine_tuned_run(base: Run, run: Run, tuned: DigitNet, val: Split, scores: dict[str, Any], seed: int) -> None:
    """Write model and calibration, and what a run needs to be used: its parameters and its data, linked."""
    described = read_description(base)["training"]
    allowed, copies = (setting(base, "evaluate", name) for name in ("accepted_error", "augmented_copies"))
    augmented = predict_augmented(tuned, val.images, load_distortion(base), int(copies), seed)
    for path in (base.raw_json, base.params(), *base.processed.glob("[!.]*")):
        target = run.folder / path.relative_to(base.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(path, target)
    save_model(run, tuned, described | {name: scores[name] for name in ("fine_tuned_from", "drawings_learned")})
    save_calibration(run, calibrate(predict_logits(tuned, val.images), val.labels, allowed, *augmented))


def setting(base: Run, section: str, name: str) -> float:
    """One of the base run's parameters, a share; 0 where the run is older than the parameter."""
    return float(parameters_used(base).get(f"{section}.{name}", 0.0))


def before_and_after(scores: dict[str, Any]) -> Table:
    """The scores as a table."""
    held, accuracies = scores["drawings_held_back"], ("test_accuracy_before", "test_accuracy_after")
    row = {"what": f"correct of {held} held-out drawings", "before": scores["held_back_right_before"]}
    figures = dict(zip(("before", "after"), (percent(scores[name], 2) for name in accuracies), strict=True))
    return Table([row | {"after": scores["held_back_right_after"]}, {"what": "test accuracy", **figures}])


def summary(run: Run, scores: dict[str, Any]) -> str:
    """Return what the terminal says."""
    return (
        f"{scores['drawings_learned']} drawings learned in {scores['teach_seconds']:.1f} s\n\n"
        f"{before_and_after(scores)}\n\n"
        f'to draw with it, set run = "{run.name}" in notebook 06; for pictures, make infer RUN={run.name} INPUT=…\n'
        f"report  {shown(run.page('teach'))}"
    )


def write_page(
    run: Run, scores: dict[str, Any], held: Sequence[Drawing], before: np.ndarray, after: np.ndarray
) -> None:
    """Write `reports/teach.html`: the scores, and the drawings kept back with both answers."""
    figure = plot_before_after([d.image for d in held], [d.label or 0 for d in held], before, after)
    picture = keep_figure(
        run, "before_and_after", figure, "held-out drawings with the predictions before and after fine-tuning"
    )
    page = {"title": f"{run.name} · fine-tuned", "run": run.name, "scores": scores, "picture": picture}
    page["table"] = before_and_after(scores)._repr_html_()
    write_text(run.page("teach"), render("teach.html.j2", page))
