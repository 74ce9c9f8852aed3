"""The model card of a run, after Mitchell et al., "Model Cards for Model Reporting" (2019): facts under its headings.

Page and `models/README.md` are two templates of these same sections. Every number is read from the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from mnistlib.core.formatting import as_text
from mnistlib.data.datasets import DATASETS
from mnistlib.reporting.card_facts import Facts, class_rows, corrupted_rows, ood_rows
from mnistlib.reporting.run_summary import test_rows, training
from mnistlib.runs.record import read_record
from mnistlib.runs.stages import MODEL_FILE

FEW = 1000


@dataclass(frozen=True)
class Section:
    """One heading of the card: sentences, points of a list, a table whose first row holds its headings."""

    title: str
    text: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()


def make_card(f: Facts) -> list[Section]:
    """The card's sections, in the paper's order."""
    return [
        details(f),
        intended(f),
        factors(f),
        measures(f),
        evaluation_data(f),
        training_data(f),
        *analyses(f),
        ethics(f),
        caveats(f),
    ]


def details(f: Facts) -> Section:
    """Model details."""
    shape, m, trained = f.model["architecture"], f.metrics, read_record(f.run, "03_train")
    rows = {
        "what it is": f"a convolutional network: three convolutions of {join(shape['widths'])} channels, an embedding "
        f"of {shape['hidden']} numbers, {f.model['parameters']:,} parameters",
        "given": f"28 × 28 grey pixels, uint8, bright on dark, framed as in {f.framed}",
        "answers": f"{len(f.classes)} logits; divided by a temperature, probabilities; or that it does not know",
        "trained": training(m) if "train_seconds" in m else "not recorded",
        "seed": as_text(f.params.get("seed", "not recorded")),
        "code": trained.commit or "not recorded",
        "finished": trained.finished or "not recorded",
        "weights": f"{MODEL_FILE}, SHA-256 {f.model['weights_sha256']}",
        "in use": f"make infer RUN={f.run.name} INPUT=folder",
    }
    return Section("Model details", table=(("what", "value"), *rows.items()))


def intended(f: Facts) -> Section:
    """Intended use, and what is out of its scope."""
    use = (
        f"Recognising single {f.origin.things}, framed as in {f.framed}, where mistakes cost little; learning, "
        "teaching and trying out how such a network is built, measured and doubted."
    )
    return Section("Intended use", (use, "Out-of-scope uses:"), f.origin.unfit)


def factors(f: Facts) -> Section:
    """What may change how good it is, and whether that was measured."""

    def measured(first: str) -> str:
        there = any(name.startswith(first) for name in f.metrics)
        return "measured below" if there else "not measured in this run"

    points = [
        f"which class it is: {measured('test_accuracy')}",
        "who stands behind the picture: the data names nobody, so groups cannot be compared",
        f"whether the picture is spoilt by noise, blur, weather or lines: {measured('corrupted_error_mean')}",
        f"whether it shows one of the {len(f.classes)} classes at all: {measured('stranger_')}",
    ]
    if f.origin.things == "handwritten digits":
        points.append(f"whether it was drawn on the screen of the person who uses it: {measured('handwriting_count')}")
    return Section("Factors", points=tuple(points))


def measures(f: Facts) -> Section:
    """The metrics, and the thresholds of an answer that counts."""
    text = [
        "Accuracy with its 95 % interval (Wilson 1927); NLL, the mean negative log-likelihood of the right class; ECE, "
        "the expected gap between confidence and accuracy; coverage, the share of answers that are accepted, and the "
        "errors among those.",
    ]
    if f.calibration:
        least = ceil(1e4 * f.calibration["threshold"]) / 1e4  # rounded up, lest it lie below what is accepted
        text.append(
            f"An answer is accepted from a confidence of {least:.4f} on, if the picture is like any class at all. That "
            f"threshold, and the temperature of {f.calibration['temperature']:.3f}, come from the validation part."
        )
    return Section("Metrics", tuple(text))


def evaluation_data(f: Facts) -> Section:
    """What it was tested on."""
    count = f"{f.metrics['test_count']:,} pictures" if "test_count" in f.metrics else "The pictures"
    told = f"{count} of the test part of {f.title}, scored once; nothing was chosen by them."
    return Section("Evaluation data", (told, f.origin.splits, f.origin.flaws))


def training_data(f: Facts) -> Section:
    """What it learnt from."""
    m, rows = f.metrics, []
    for name, told in (
        ("train_count", "pictures learnt from"),
        ("val_count", "kept for validation: thresholds and the course of training"),
        ("synthetic_ink_count", "drawings of this project's own making added"),
        ("outliers_count", "pictures of none of the classes added, to learn what is none"),
    ):
        if m.get(name):
            rows.append((told, f"{m[name]:,}"))
    bent = f.params.get("train", {})
    limits = [bent.get(name) for name in ("rotate", "shear", "scale", "shift")]
    if None not in limits and any(limits):
        how = (
            f"by up to these: turned by {bent['rotate']:g}°, sheared by {bent['shear']:g}, scaled by {bent['scale']:g}"
        )
        spared = 100 * bent.get("undistorted", 0)
        which = "each picture in every epoch" + (f", but for {spared:g} % of them" if spared else "")
        rows.append((which, f"{how}, shifted by {bent['shift']:g} of half its width"))
    text = (f"{f.origin.made} Licence: {f.origin.licence}.",)
    return Section("Training data", text, table=(("what", "value"), *rows) if rows else ())


def analyses(f: Facts) -> list[Section]:
    """What was measured: over all, on spoilt pictures, on what is none of the classes; then class by class."""
    rows = [*test_rows(f.metrics), *corrupted_rows(f.metrics), *ood_rows(f.metrics)]
    if not rows:
        return [
            Section(
                "Quantitative analyses",
                ("Nothing has been measured of this model yet: 04_evaluate has not run with it.",),
            )
        ]
    text = ("Unitary results; intersections cannot be formed, for nothing is known of a picture but its class.",)
    found = [Section("Quantitative analyses", text, table=(("measured", "result"), *rows))]
    each = class_rows(f.run, f.classes)
    if each:
        head = ("class", "pictures", "errors", "recognised", "95 % interval")
        found.append(Section("Quantitative analyses, class by class", table=(head, *each)))
    return found


def ethics(f: Facts) -> Section:
    """Ethical considerations."""
    text = (
        f"No picture names a person. {f.origin.people}",
        "For whoever is not among these, the figures here promise nothing.",
        "A confident answer is easily taken for a right one: show the confidence, keep the picture, let people object.",
    )
    return Section("Ethical considerations", text)


def caveats(f: Facts) -> Section:
    """What to keep in mind, and what to do."""
    m, points = f.metrics, []
    if f.fallback:
        wanted = f.params.get("data", {}).get("dataset", "mnist")
        title = DATASETS[wanted].title if wanted in DATASETS else wanted
        points.append(f"{title} was asked for and could not be found: no figure here says anything about it")
    points += [
        "this is one network from one seed: another seed makes other mistakes, and the interval does not count that",
        "calibration and thresholds hold for pictures like the validation part's, and for no others",
    ]
    if m.get("test_count", FEW) < FEW:
        points.append(f"{m['test_count']:,} test pictures are few: look at the interval, not at the figure")
    points.append("before other use: measure on your own pictures first, and let it refuse what it is not sure of")
    return Section("Caveats and recommendations", points=tuple(points))


def join(values: list[Any]) -> str:
    """8, 16 and 32."""
    *first, last = map(str, values)
    return f"{', '.join(first)} and {last}" if first else last
