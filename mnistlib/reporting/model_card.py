"""The model card of a run, with the headings of Mitchell et al. (2019), https://arxiv.org/abs/1810.03993.

The front page and `models/README.md` are two templates of the same sections. Every number is read from the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from mnistlib.core.formatting import as_text, percent
from mnistlib.data.datasets import DATASETS
from mnistlib.reporting.card_facts import OOD_ACCEPTED, Facts, class_rows, corruption_facts, ood_facts
from mnistlib.reporting.run_summary import test_facts, training_text
from mnistlib.runs.record import read_record
from mnistlib.runs.stages import MODEL_FILE

FEW = 1000  # test images below which the interval says more than the accuracy


@dataclass(frozen=True)
class Section:
    """One heading of the card: sentences, a list, a table whose first row holds its headings, and references."""

    title: str
    text: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    links: tuple[tuple[str, str], ...] = ()


def make_card(f: Facts) -> list[Section]:
    """Return the card's sections in the order of the paper."""
    return [
        details(f),
        intended_use(f),
        factors(f),
        metrics(f),
        evaluation_data(f),
        training_data(f),
        *analyses(f),
        ethics(f),
        caveats(f),
    ]


def details(f: Facts) -> Section:
    shape, m, trained = f.model["architecture"], f.metrics, read_record(f.run, "03_train")
    rows = {
        "architecture": f"convolutional network: three convolutions with {join(shape['widths'])} channels, an "
        f"embedding of {shape['hidden']} values, {f.model['parameters']:,} parameters",
        "input": f"28 × 28 gray pixels, uint8, bright on a dark background, framed as in {f.framing}",
        "output": f"{len(f.classes)} logits, the calibrated probabilities, and whether the prediction is accepted",
        "training": training_text(m) if "train_seconds" in m else "not recorded",
        "seed": as_text(f.params.get("seed", "not recorded")),
        "code version": trained.commit or "not recorded",
        "finished": trained.finished or "not recorded",
        "weights": f"{MODEL_FILE}, SHA-256 {f.model['weights_sha256']}",
        "use": f"make infer RUN={f.run.name} INPUT=folder",
    }
    return Section("Model details", table=(("property", "value"), *rows.items()))


def intended_use(f: Facts) -> Section:
    use = (
        f"Classify images of single {f.origin.things}, framed as in {f.framing}, where errors cost little.",
        "Learn and teach how such a network is built, trained and evaluated.",
    )
    return Section("Intended use", (*use, "Out-of-scope uses:"), f.origin.unfit)


def factors(f: Facts) -> Section:
    def measured(prefix: str) -> str:
        exists = any(name.startswith(prefix) for name in f.metrics)
        return "measured below" if exists else "not measured in this run"

    points = [
        f"class of the image: {measured('test_accuracy')}",
        "people behind the images: the data identifies nobody, so groups of people cannot be compared",
        f"corruptions such as noise, blur, fog or lines: {measured('corrupted_error_mean')}",
        f"inputs that belong to none of the {len(f.classes)} classes: {measured(OOD_ACCEPTED)}",
    ]
    if f.origin.things == "handwritten digits":
        points.append(f"digits that you draw on a screen: {measured('handwriting_count')}")
    return Section("Factors", points=tuple(points))


def metrics(f: Facts) -> Section:
    text = [
        "Accuracy is given with its 95 % Wilson interval. NLL is the mean negative log-likelihood of the true class. "
        "ECE, the expected calibration error, is the mean gap between confidence and accuracy. Coverage is the share "
        "of accepted predictions."
    ]
    if f.calibration:
        confidence = percent(ceil(1e4 * f.calibration["threshold"]) / 1e4, 2)  # rounded up: never below the threshold
        text.append(
            f"A prediction is accepted if its confidence is at least {confidence} and its OOD score (the maximum logit "
            f"minus the mean logit) is at least {ceil(100 * f.calibration['ood_threshold']) / 100:.2f}. Both "
            f"thresholds and the temperature of {f.calibration['temperature']:.3f} come from the validation set."
        )
    links = (
        ("Wilson (1927)", "https://doi.org/10.1080/01621459.1927.10502953"),
        ("temperature scaling and ECE, Guo et al. (2017)", "https://arxiv.org/abs/1706.04599"),
        ("maximum logit, Hendrycks et al. (2019)", "https://arxiv.org/abs/1911.11132"),
    )
    return Section("Metrics", tuple(text), links=links)


def evaluation_data(f: Facts) -> Section:
    count = f"{f.metrics['test_count']:,} images, " if "test_count" in f.metrics else ""
    text = f"The test set of {f.title}: {count}scored once. No choice was based on it."
    return Section("Evaluation data", (text, f.origin.splits, f.origin.flaws))


def training_data(f: Facts) -> Section:
    m, rows = f.metrics, []
    for name, label in (
        ("train_count", "training images"),
        ("val_count", "validation images, for the thresholds and to monitor training"),
        ("synthetic_ink_count", "synthetic drawings added"),
        ("outliers_count", "outlier images added, which belong to no class"),
    ):
        if m.get(name):
            rows.append((label, f"{m[name]:,}"))
    train = f.params.get("train", {})
    limits = [train.get(name) for name in ("rotate", "shear", "scale", "shift")]
    if None not in limits and any(limits):
        rotate, shear, scale, shift = limits
        unchanged = train.get("undistorted", 0)
        value = f"rotation up to {rotate:g}°, shear up to {shear:g}, scaling up to {percent(scale, 0)}, "
        value += f"shift up to {percent(shift / 2, 0)} of the width"
        value += f"; {percent(unchanged, 0)} of the images stay unchanged" if unchanged else ""
        background = train.get("background", 0)
        value += f"; {percent(background, 0)} are laid on a random background" if background else ""
        rows.append(("augmentation, new in every epoch", value))
    text = (f"{f.origin.made} License: {f.origin.licence}.",)
    return Section("Training data", text, table=(("property", "value"), *rows) if rows else ())


def analyses(f: Facts) -> list[Section]:
    rows = [*test_facts(f.metrics), *corruption_facts(f.metrics), *ood_facts(f.metrics)]
    if not rows:
        return [Section("Quantitative analyses", ("Not measured yet: 04_evaluate has not run with this model.",))]
    text = (
        "The results are given for the whole test set and for each class. The data records nothing else about an "
        "image, so no other groups can be compared."
    )
    sections = [Section("Quantitative analyses", (text,), table=(("measure", "result"), *rows))]
    classes = class_rows(f.run, f.classes)
    if classes:
        head = ("class", "images", "errors", "recall", "95 % interval")
        sections.append(Section("Quantitative analyses by class", table=(head, *classes)))
    return sections


def ethics(f: Facts) -> Section:
    text = (
        f"No image identifies a person. {f.origin.people}",
        "The results say nothing about people whom this data does not represent.",
        "People easily take a confident prediction for a correct one. Show the confidence, keep the image, and let "
        "people object.",
    )
    return Section("Ethical considerations", text)


def caveats(f: Facts) -> Section:
    m, points = f.metrics, []
    if f.fallback:
        wanted = f.params.get("data", {}).get("dataset", "mnist")
        title = DATASETS[wanted].title if wanted in DATASETS else wanted
        points.append(f"{title} was requested and could not be found: these results say nothing about it")
    points += [
        "the results are those of one seed: another seed makes other errors, and the interval does not include this",
        "calibration and thresholds hold only for images like those of the validation set",
    ]
    if m.get("test_count", FEW) < FEW:
        points.append(f"the test set has only {m['test_count']:,} images: read the interval, not the accuracy alone")
    points.append("before any other use, measure the accuracy on your own images, and let the network reject")
    return Section("Caveats and recommendations", points=tuple(points))


def join(values: list[Any]) -> str:
    """Return 8, 16 and 32."""
    *first, last = map(str, values)
    return f"{', '.join(first)} and {last}" if first else last
