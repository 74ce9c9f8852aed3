"""The figures of a run's front page, in sections with a heading and an explanation."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import Any

from markupsafe import Markup

from mnistlib.runs.layout import Run
from mnistlib.runs.stages import FIGURES
from mnistlib.runs.state import is_current


@dataclass(frozen=True)
class FigureText:
    """A figure's file name, its title, which is its alternative text too, and what to notice."""

    name: str
    title: str
    notice: str


@dataclass(frozen=True)
class Section:
    """A heading, an explanation as HTML, and figures; the `id` is the link's target and no figure's name."""

    id: str
    title: str
    text: Markup
    figures: tuple[FigureText, ...]


SECTIONS = (
    Section(
        "errors",
        "Confusion matrix",
        Markup(
            'The <a href="https://scikit-learn.org/stable/modules/model_evaluation.html#confusion-matrix">confusion '
            "matrix</a> counts every test image by its true class and its predicted class. The most confident "
            "errors deserve a closer look, because some of their labels are doubtful."
        ),
        (
            FigureText(
                "confusion_matrix",
                "Confusion matrix of the test set",
                "Rows are true classes, columns are predicted classes. Color marks errors only.",
            ),
            FigureText(
                "mistakes",
                "Most confident errors on the test set",
                "Above each image: its class, the prediction, the confidence and the index in the test set.",
            ),
        ),
    ),
    Section(
        "calibration",
        "Calibration and selective prediction",
        Markup(
            'A <a href="https://scikit-learn.org/stable/modules/calibration.html">calibrated</a> network is right in '
            "90 % of the predictions that it makes with 90 % confidence. "
            '<a href="https://arxiv.org/abs/1706.04599">Temperature scaling</a> divides the logits by a constant so '
            "that confidence matches accuracy. Two thresholds then decide when to accept a prediction. The first, on "
            "the OOD score, rejects images that look like none of the classes. The second, on the confidence, rejects "
            "ambiguous images."
        ),
        (
            FigureText(
                "reliability",
                "Reliability diagram",
                "On the dashed line, confidence equals accuracy. The thin bars show the 95 % range expected from a "
                "perfectly calibrated network.",
            ),
            FigureText(
                "risk_coverage",
                "Risk–coverage curve",
                "The error falls when only the most confident predictions are accepted. The red point shows this run's "
                "two thresholds.",
            ),
        ),
    ),
    Section(
        "robustness",
        "Robustness to corruptions",
        Markup(
            "Noise, blur, fog and lines reduce the accuracy. The 15 corruptions follow "
            '<a href="https://arxiv.org/abs/1906.02337">MNIST-C</a>. People can still read most of these images. '
            "On images as corrupted, a plain CNN that was trained without augmentation has 12 to 13 % errors."
        ),
        (
            FigureText(
                "corruptions",
                "A test image under 15 corruptions, with the error on such images",
                "Gray: images as corrupted. Blue: restored as image files are, that is, denoised and without "
                "background. The restoration was tuned on these corruptions, so do not compare it with published "
                "errors. Bold names: transformations used in training.",
            ),
        ),
    ),
    Section(
        "out-of-distribution",
        "Out-of-distribution inputs",
        Markup(
            "An out-of-distribution (OOD) input belongs to none of the classes; the network should reject it. Its OOD "
            'score is the <a href="https://arxiv.org/abs/1911.11132">maximum logit</a> minus the mean logit. Inputs '
            "with a score below the OOD threshold are rejected."
        ),
        (
            FigureText(
                "ood_detection",
                "Out-of-distribution images by kind",
                "A red digit above an image means that the network accepted the image as this digit. Lookalikes are "
                "letters written like a digit, such as O and 0.",
            ),
        ),
    ),
    Section(
        "embeddings",
        "Learned features",
        Markup(
            "The embedding of an image is the output of the layer before the logits. "
            '<a href="https://scikit-learn.org/stable/modules/manifold.html#t-sne">t-SNE</a> and '
            '<a href="https://scikit-learn.org/stable/modules/decomposition.html#pca">PCA</a> project the embeddings '
            "onto two dimensions. The kernels of the first convolution respond to strokes and their edges."
        ),
        (
            FigureText(
                "tsne_plot",
                "t-SNE of the embeddings",
                "Neighbors stay neighbors; distances between islands mean nothing. Rings mark errors, most of which "
                "lie at the edge of an island.",
            ),
            FigureText(
                "pca_plot",
                "PCA of the embeddings",
                "Images that lie far apart here are far apart in the embedding. Images that overlap here may still "
                "be separated in other dimensions.",
            ),
            FigureText(
                "first_layer",
                "Kernels of the first convolution",
                "Blue weights are positive, red weights are negative.",
            ),
        ),
    ),
    Section(
        "training",
        "Training data and learning curves",
        Markup("The network is trained on augmented images of the dataset, for a fixed number of epochs."),
        (
            FigureText("samples", "Images of the dataset", "They are drawn at random and sorted by class."),
            FigureText(
                "distortions",
                "Data augmentation",
                "Top row: original training images. Bottom row: the same images as the network sees them.",
            ),
            FigureText(
                "learning_curves",
                "Loss and error after each epoch",
                "Augmented images and outliers are harder, so the training loss can stay above the validation loss.",
            ),
        ),
    ),
    Section(
        "predictions",
        "Predictions on new images",
        Markup("The network classifies drawings from the pad of notebook 06 and image files."),
        (
            FigureText(
                "pad",
                "Predictions on drawings",
                "Left to right: the strokes, the 28 × 28 image that the network sees, the probabilities. Template "
                "drawings are shown until you draw.",
            ),
            FigureText(
                "what_the_model_saw",
                "Predictions on image files",
                "Each image is shown as the network sees it, below its file name, its predicted class and its "
                "confidence. Red: rejected.",
            ),
        ),
    ),
)
WIDE = 1050  # pixels of a PNG, shown at two thirds of them, from which on it takes a row of its own


def section_data(run: Run) -> list[dict[str, Any]]:
    """Return the sections with those figures that exist and are up to date; sections without figures are left out."""
    current = {name for stage, names in FIGURES.items() if is_current(run, stage) for name in names}
    sections = []
    for section in SECTIONS:
        figures = [figure_data(run, f) for f in section.figures if f.name in current and run.figure(f.name).is_file()]
        if figures:
            sections.append({"id": section.id, "title": section.title, "text": section.text, "figures": figures})
    return sections


def figure_data(run: Run, figure: FigureText) -> dict[str, Any]:
    """Return a figure's texts, its PNG in base64, and whether it is wide."""
    png = run.figure(figure.name).read_bytes()
    wide = int.from_bytes(png[16:20]) >= WIDE  # where a PNG's header says its width
    return {**asdict(figure), "png": base64.b64encode(png).decode(), "wide": wide}
