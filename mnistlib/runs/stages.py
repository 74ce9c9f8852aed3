"""The six stages: what each notebook reads, and what it leaves in a run."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from mnistlib.core.files import ROOT

MODEL_FILE = "pytorch_mnist_model.pth"


@dataclass(frozen=True)
class Stage:
    """A numbered notebook and the stages that it reads from.

    `leaves`: the files that it writes, relative to the run's folder; `provides`: those that later stages read.
    """

    name: str
    needs: tuple[str, ...]
    leaves: tuple[str, ...]
    provides: tuple[str, ...] = ()

    @property
    def section(self) -> str:
        return self.name[3:]

    @property
    def notebook(self) -> Path:
        return ROOT / "notebooks" / f"{self.name}.ipynb"


SPLITS = tuple(f"data/processed/{p}_{kind}.npy" for p in ("train", "val", "test") for kind in ("images", "labels"))
STAGES = (
    Stage("01_data", (), ("data/raw.json", "reports/data_validation.json"), ("data/raw.json",)),
    Stage(
        "02_preprocess",
        ("01_data",),
        (*SPLITS, "data/processed/statistics.json"),
        ("data/processed/statistics.json",),
    ),
    Stage(
        "03_train",
        ("02_preprocess",),
        (f"models/{MODEL_FILE}", "models/model.json", "models/history.json"),
        (f"models/{MODEL_FILE}",),
    ),
    Stage(
        "04_evaluate",
        ("02_preprocess", "03_train"),
        ("models/calibration.json", "reports/test_predictions.npz"),
        ("models/calibration.json",),
    ),
    Stage(
        "05_features",
        ("02_preprocess", "03_train"),
        ("reports/embeddings/embeddings.npz", "reports/embeddings/tsne.npz"),
    ),
    Stage("06_infer", ("03_train", "04_evaluate"), ("data/inference/predictions.csv", "reports/pad.json")),
)
FIGURES = {
    "01_data": ("samples", "class_balance", "class_means"),
    "02_preprocess": ("split_balance", "pixel_histogram"),
    "03_train": ("network", "synthetic_ink", "outliers", "distortions", "learning_curves"),
    "04_evaluate": ("confusion_matrix", "mistakes", "reliability", "risk_coverage", "corruptions", "ood_detection"),
    "05_features": ("first_layer", "tsne_plot", "pca_plot"),
    "06_infer": ("pad", "what_the_model_saw"),
}
OPTIONAL_OUTPUTS = {"06_infer": ("data/inference/examples/*.png",)}
REQUIRED_METRICS = {  # the numbers that every run of a stage measures
    "03_train": ("val_accuracy", "epochs", "train_seconds", "model_parameters"),
    "04_evaluate": (
        *("test_accuracy", "test_accuracy_low", "test_accuracy_high", "test_errors", "test_count", "test_nll"),
        *("test_ece", "test_coverage", "test_accepted_errors"),
    ),
    "05_features": ("knn_accuracy",),
}
TEXT_METRICS = {"dataset", "source", "train_device"}  # all other metrics are numbers
STAGE = {stage.name: stage for stage in STAGES}


def required_outputs(stage: str) -> list[str]:
    """Return the files that a stage leaves in every run, by their paths in the run's folder."""
    return [*STAGE[stage].leaves, *(f"reports/figures/{name}.png" for name in FIGURES[stage]), f"metrics/{stage}.json"]


def runs_side_by_side() -> bool:
    """Return whether make may run several stages at once: with -j, or under a jobserver."""
    flags = os.environ.get("MAKEFLAGS", "").partition(" -- ")[0]
    return bool(re.search(r"(^| )(--jobserver|-j(?!1( |$)))", flags))


def asked_to_run_nothing() -> str:
    """Return the option with which make runs nothing: n (dry run), q (question) or t (touch); else empty."""
    return next((letter for letter in "nqt" if letter in make_letters()), "")


def keeps_going() -> bool:
    """Return whether make goes on after a failure (-k)."""
    return "k" in make_letters()


def make_letters() -> str:
    """Return the letters of make's options, with which MAKEFLAGS begins, without a dash."""
    letters = os.environ.get("MAKEFLAGS", "").partition(" ")[0]
    return letters if re.fullmatch("[A-Za-z]+", letters) else ""
