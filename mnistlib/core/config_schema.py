"""Define the types and ranges of all parameters, and describe faults. Values and meanings: params/default.yaml."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
THREE = Field(min_length=3, max_length=3)
RENAMED = {
    "train.optimiser": "train.optimizer",
    "train.strangers": "train.outliers",
    "evaluate.strangers": "evaluate.outliers",
    "evaluate.bent": "evaluate.augmented_copies",
}


class Section(BaseModel):
    """Refuse unknown names, text for numbers, and NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Data(Section):
    """The dataset and its source."""

    dataset: Literal["mnist", "fashion_mnist", "kmnist", "digits"]
    source: Literal["auto", "raw", "local", "download", "digits"]
    local_dir: str
    samples: Annotated[int, Field(ge=1, le=200)]


class Preprocess(Section):
    """The split into training set and validation set."""

    val_fraction: Annotated[float, Field(gt=0.0, le=0.5)]
    train_limit: Annotated[int, Field(ge=0)]


class Train(Section):
    """The network and its training."""

    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "fp32", "bf16"]
    epochs: Annotated[int, Field(ge=1, le=1000)]
    batch_size: Annotated[int, Field(ge=2, le=8192)]
    optimizer: Literal["muon", "adamw"]
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)]
    muon_rate: Annotated[float, Field(gt=0.0, le=1.0)]
    warmup: Annotated[float, Field(gt=0.0, lt=1.0)]
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)]
    label_smoothing: Fraction
    ema_decay: Fraction
    widths: Annotated[list[Annotated[int, Field(ge=1, le=1024)]], THREE]
    kernels: Annotated[list[Annotated[int, Field(ge=1, le=15)]], THREE]
    pooling: Annotated[list[Literal["stride", "max", "none"]], THREE]
    hidden: Annotated[int, Field(ge=2, le=4096)]
    dropout: Fraction
    synthetic_ink: Fraction
    outliers: Fraction
    rotate: Annotated[float, Field(ge=0.0, le=180.0)]
    shear: Fraction
    scale: Fraction
    shift: Fraction
    undistorted: Fraction
    background: Fraction


class Evaluate(Section):
    """The evaluation, the calibration and the thresholds of acceptance."""

    bins: Annotated[int, Field(ge=2, le=100)]
    mistakes: Annotated[int, Field(ge=1, le=200)]
    accepted_error: Annotated[float, Field(gt=0.0, le=0.5)]
    augmented_copies: Annotated[int, Field(ge=0, le=1000)]
    corrupted: Annotated[int, Field(ge=0, le=70000)]
    outliers: Annotated[int, Field(ge=0, le=10_000)]


class Features(Section):
    """The views of the embeddings."""

    tsne_samples: Annotated[int, Field(ge=100, le=70000)]
    tsne_perplexity: Annotated[float, Field(ge=2.0, le=500.0)]
    neighbours: Annotated[int, Field(ge=1, le=100)]


class Infer(Section):
    """The pictures to recognize and the examples."""

    input: str
    layout: Literal["auto", "digit", "page", "boxes"]
    examples: Annotated[int, Field(ge=1, le=200)]
    shown: Annotated[int, Field(ge=1, le=1000)]


class Execute(Section):
    """The runner's own limits, in seconds."""

    timeout: Annotated[int, Field(ge=0)]
    startup_timeout: Annotated[int, Field(ge=1, le=3600)]


class Params(Section):
    """A whole profile: the seed, one section per notebook, and the runner's section."""

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)]
    data: Data
    preprocess: Preprocess
    train: Train
    evaluate: Evaluate
    features: Features
    infer: Infer
    execute: Execute


def fault(error: Any) -> str:
    """Describe one of pydantic's errors in a line, with the nearest name for an unknown one."""
    place = [str(part) for part in error["loc"]]
    name = ".".join(place)
    if error["type"] == "extra_forbidden":
        if name in RENAMED:
            return f"{name} was renamed to {RENAMED[name]}"
        near = meant(place)
        return f"unknown parameter {name}" + (f"; did you mean {' or '.join(near)}?" if near else "")
    if error["type"] == "missing":
        return f"{name} is missing"
    return f"{name}: {error['msg'][:1].lower()}{error['msg'][1:]}, found {error['input']!r}"[:400]


def meant(place: list[str]) -> list[str]:
    """Suggest names for an unknown one: without a section, the same name in any section; else the nearest name."""
    sections = parameter_names([]) if len(place) == 1 else []
    found = [f"{section}.{place[0]}" for section in sections if place[0] in parameter_names([section])]
    near = difflib.get_close_matches(place[-1], parameter_names(place[:-1]), 1)
    return found or [".".join([*place[:-1], name]) for name in near]


def parameter_names(path: list[str]) -> list[str]:
    """Return the names that the schema has under a section ([]: the sections)."""
    model: Any = Params
    for part in path:
        field = model.model_fields.get(part)
        model = field.annotation if field else None
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    return list(model.model_fields)
