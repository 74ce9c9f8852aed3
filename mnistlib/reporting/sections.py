"""The sections of a run's front page: figures, each with what to notice."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from mnistlib.runs.layout import Run
from mnistlib.runs.stages import FIGURES
from mnistlib.runs.state import is_current


@dataclass(frozen=True)
class Section:
    """A heading, a sentence or two, and figures by name with what they show."""

    id: str
    title: str
    text: str
    figures: tuple[tuple[str, str], ...]


SECTIONS = (
    Section(
        "errs",
        "Where it errs",
        "Every test picture, counted by what it is and by what it was taken for; then the mistakes it was surest of.",
        (
            (
                "confusion_matrix",
                "Rows: what the picture is; columns: what it was recognised as. Color: mistakes alone.",
            ),
            (
                "mistakes",
                "The surest mistakes: what each is, what it was taken for, how surely, its number in the part.",
            ),
        ),
    ),
    Section(
        "learnt",
        "What it has learnt",
        "The layer before its answer places like beside like; pictures that it mistakes lie mostly at an island's rim. "
        "Its first layer looks for strokes and their edges.",
        (
            ("tsne_plot", "Test pictures by t-SNE, some of each class: neighbours stay neighbours; ringed: mistaken."),
            (
                "pca_plot",
                "By PCA, a straight projection: what is far apart here is far apart, what is close may not be.",
            ),
            ("first_layer", "The first layer's kernels: blue where ink speaks for it, red where it speaks against."),
        ),
    ),
    Section(
        "trust",
        "How far to trust it",
        "An answer counts as not known where the picture is like no class, or its confidence lies below a threshold.",
        (
            (
                "risk_coverage",
                "Error among the answered by the share answered, the surest first; red: what pad and pages accept.",
            ),
            ("reliability", "Accuracy against confidence: on the dashed line, the confidence means what it says."),
        ),
    ),
    Section(
        "spoilt",
        "What it makes of spoilt pictures, and of what is none of these",
        "What a person still reads should be recognised; what is none of the classes should be refused.",
        (
            (
                "corruptions",
                "A test picture spoilt in fifteen ways, and the error on such pictures; bold: learnt from.",
            ),
            ("ood_detection", "Pictures of none of the classes; red: what those that were let in passed for."),
        ),
    ),
    Section(
        "data",
        "What it was trained on",
        "The pictures as they come, what training makes of them, and loss and errors after each epoch.",
        (
            ("samples", "Pictures of the dataset, by class."),
            ("distortions", "Training pictures, and below them what training saw of them."),
            ("learning_curves", "Loss and errors by epoch, on training and on validation."),
        ),
    ),
    Section(
        "new",
        "What it makes of new pictures",
        "Drawn on the pad, or given as files.",
        (
            ("pad", "Strokes, what the network saw of them, what it says; copybook forms until somebody draws."),
            ("what_the_model_saw", "The last pictures given, as the network saw them, with its answers."),
        ),
    ),
)
WIDE = 1050  # pixels of a PNG, shown at two thirds of them, from which on it takes a row of its own


def section_data(run: Run) -> list[dict[str, Any]]:
    """The sections with those figures that are there and stand, as data to be put into the page; none without one."""
    told = []
    standing = {name for stage, names in FIGURES.items() if is_current(run, stage) for name in names}
    for section in SECTIONS:
        there = [(name, text) for name, text in section.figures if name in standing and run.figure(name).is_file()]
        figures = [figure_data(run, name, text) for name, text in there]
        if figures:
            told.append({"id": section.id, "title": section.title, "text": section.text, "figures": figures})
    return told


def figure_data(run: Run, name: str, text: str) -> dict[str, Any]:
    """One figure: what it shows, its PNG in base64, whether it is wide."""
    png = run.figure(name).read_bytes()
    wide = int.from_bytes(png[16:20]) >= WIDE  # where a PNG's header says its width
    return {"name": name, "text": text, "png": base64.b64encode(png).decode(), "wide": wide}
