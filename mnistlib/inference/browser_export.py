"""Export of the network for the drawing pad in a run's front page; templates/network.js computes with it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mnistlib.core.errors import RunError
from mnistlib.core.files import write_text
from mnistlib.data.datasets import shows_digits
from mnistlib.inference.drawings import Strokes
from mnistlib.inference.predictor import Predictor
from mnistlib.runs.layout import Run
from mnistlib.training.fusion import FusedNet
from mnistlib.training.model import DigitNet, Flatten
from mnistlib.training.numpy_network import NumpyNet

MOST_BYTES = 950_000  # the pad with its scripts stays below 1 MB
MOST_DRAWINGS, MOST_POINTS = 20, 5000  # of all drawings together
LEVELS = 127  # of a signed byte
SIDE, FILLED = 280, 0.7  # side of the page's canvas, and the share of it that a drawing fills


def save_browser_pad(run: Run, predictor: Predictor, drawings: Sequence[Strokes]) -> dict[str, Any]:
    """Write `reports/pad.json`: the network, its calibration and the last drawings, for the front page.

    A page holds networks of digits of up to 950 kB. For others the file says why there is no pad.

    Args:
        run: the run to write into.
        predictor: its predictor.
        drawings: strokes to replay; the last 20 are kept.

    Returns:
        Facts about the file, for display.
    """
    replays = to_replay(drawings)
    try:
        text, bits = page_data(predictor, replays)
    except RunError as error:
        write_text(run.pad_json, json.dumps({"model": predictor.model, "rejection_reason": str(error)}))
        return {"in the page": f"no pad: {error}"}
    write_text(run.pad_json, text)
    return {"drawings in the page": len(replays), "bytes in the page": len(text), "bits of a weight": bits}


def page_data(predictor: Predictor, replays: list[Any]) -> tuple[str, int]:
    """Return the page's JSON and the bits of a weight in it: 16, or 8 when that is too large. Raises RunError."""
    content = {"model": predictor.model, **asdict(predictor.calibration), "drawings": replays}
    for bits in (16, 8):
        layers = export_layers(predictor, bits)
        text = json.dumps(content | {"bits": bits, "layers": layers}, separators=(",", ":"), allow_nan=False)
        if len(text) <= MOST_BYTES:
            return text, bits
    raise RunError(f"its weights take {len(text):,} bytes, more than {MOST_BYTES:,}")


def export_layers(predictor: Predictor, bits: int) -> list[dict[str, Any]]:
    """Return the network's layers in order, with weights in base64.

    Kinds are convolutions (a fully connected layer is one as large as its map), scales (batch norm), pools and relus.
    Raises RunError for a network that the page cannot compute.
    """
    if not shows_digits(predictor.dataset):
        raise RunError("its classes are not digits")
    network = predictor.network
    assert not isinstance(network, NumpyNet), "use load_predictor"
    fused = FusedNet(network) if isinstance(network, DigitNet) else network
    side, steps = fused.architecture.sides()[-1], []
    for layer in fused.layers:
        match layer:
            case nn.Conv2d():
                steps.append(convolution(layer.weight, layer.bias, layer.stride[0], bits))
            case nn.Linear():
                weight = layer.weight.reshape(len(layer.weight), side, side, -1).permute(0, 3, 1, 2)
                steps.append(convolution(weight, layer.bias, 1, bits))
                side = 1
            case nn.BatchNorm2d():
                steps.append(scale(layer))
            case nn.MaxPool2d():
                steps.append({"kind": "pool"})
            case nn.ReLU():
                steps.append({"kind": "relu"})
            case Flatten():  # channels last, as the next layer's weights are taken
                pass
            case _:
                raise RunError(f"the page cannot compute a {type(layer).__name__}")
    return steps


def convolution(weight: Tensor, bias: Tensor | None, stride: int, bits: int) -> dict[str, Any]:
    """Describe a convolution without padding, weight out×in×side×side."""
    outputs, inputs, kernel, _ = weight.shape
    shape = {"outputs": outputs, "inputs": inputs, "kernel": kernel, "stride": stride}
    shift = torch.zeros(outputs) if bias is None else bias
    numbers = {"weight": to_float16(weight)} if bits == 16 else to_int8(weight)
    return {"kind": "convolution", **shape, **numbers, "bias": to_float16(shift)}


def to_int8(weight: Tensor) -> dict[str, str]:
    """Quantize weights to signed bytes with a factor per output channel (https://arxiv.org/abs/1712.05877)."""
    largest = weight.flatten(1).abs().amax(1).clamp(min=1e-3)
    factor = (largest / LEVELS).half().float()
    whole = (weight / factor.view(-1, 1, 1, 1)).round().clamp(-LEVELS, LEVELS).to(torch.int8)
    return {"weight": base64.b64encode(whole.numpy().tobytes()).decode(), "factor": to_float16(factor)}


def scale(norm: nn.BatchNorm2d) -> dict[str, Any]:
    """Describe a batch norm as a factor and a bias per channel."""
    assert norm.running_var is not None and norm.running_mean is not None
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return {"kind": "scale", "weight": to_float16(factor), "bias": to_float16(norm.bias - norm.running_mean * factor)}


def to_float16(values: Tensor) -> str:
    """Return numbers as little-endian float16 in base64. Raises RunError when one is too large."""
    exact = values.detach().numpy()
    with np.errstate(over="ignore"):
        half = exact.astype("<f2")
    if not np.isfinite(half).all():
        raise RunError(f"a weight of {np.abs(exact).max():g} is too large for 16 bits")
    return base64.b64encode(half.tobytes()).decode()


def to_replay(drawings: Sequence[Strokes]) -> list[list[list[list[float]]]]:
    """Center and scale the last drawings to the page's canvas, 5,000 points at most."""
    placed, points = [], 0
    for strokes in reversed(drawings[-MOST_DRAWINGS:]):
        paths = [np.array(stroke, float) for stroke in strokes if len(stroke)]
        more = sum(map(len, paths))
        if paths and points + more <= MOST_POINTS:
            points += more
            everywhere = np.concatenate(paths)
            low, high = everywhere.min(0), everywhere.max(0)
            factor = FILLED * SIDE / max(float((high - low).max()), 1e-9)
            placed.append([np.round((p - (low / 2 + high / 2)) * factor + SIDE / 2, 1).tolist() for p in paths])
    return placed[::-1]
