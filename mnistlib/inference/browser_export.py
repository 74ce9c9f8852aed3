"""The pad in a run's front page: its network, when to trust it and a few drawings, as data for templates/network.js."""

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

MOST_BYTES = 950_000  # with its scripts the pad stays within 1 MB
MOST_DRAWINGS, MOST_POINTS = 20, 5000  # of all drawings together
LEVELS = 127  # of a weight in eight bits, either way from 0
SIDE, FILLED = 280, 0.7  # of the page's paper, in its own units, and the share of it that a drawing fills


def save_browser_pad(run: Run, predictor: Predictor, drawings: Sequence[Strokes]) -> dict[str, Any]:
    """Write `reports/pad.json`, from which the front page recognises what is drawn on it, and the last `drawings`.

    For networks of digits that it can hold; of others the file says why not. Returns what it holds, to be shown.
    """
    replays = to_replay(drawings)
    try:
        text, bits = hold(predictor, replays)
    except RunError as error:
        write_text(run.pad_json, json.dumps({"model": predictor.model, "rejection_reason": str(error)}))
        return {"in the page": f"no pad: {error}"}
    write_text(run.pad_json, text)
    return {"drawings in the page": len(replays), "bytes in the page": len(text), "bits of a weight": bits}


def hold(predictor: Predictor, replays: list[Any]) -> tuple[str, int]:
    """The page's JSON and the bits of a weight in it: 16, or 8 where it would take more than `MOST_BYTES`.

    Raises RunError when the page cannot hold the network or recognise with it.
    """
    content = {"model": predictor.model, **asdict(predictor.calibration), "drawings": replays}
    for bits in (16, 8):
        layers = export_layers(predictor, bits)
        text = json.dumps(content | {"bits": bits, "layers": layers}, separators=(",", ":"), allow_nan=False)
        if len(text) <= MOST_BYTES:
            return text, bits
    raise RunError(f"its weights take {len(text):,} bytes, more than {MOST_BYTES:,}")


def export_layers(predictor: Predictor, bits: int) -> list[dict[str, Any]]:
    """The network's steps in order, in base64, float16 but for the weights where `bits` is 8: convolutions (a fully
    connected layer is one as large as its map), scales (a batch norm), pools of 2×2 and relus.

    Raises RunError for what the page cannot recognise with.
    """
    if not shows_digits(predictor.dataset):
        raise RunError("it recognises no digits")
    network = predictor.network
    assert not isinstance(network, NumpyNet), "the page holds what load_predictor gives"
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
                raise RunError(f"the page knows no {type(layer).__name__}")
    return steps


def convolution(weight: Tensor, bias: Tensor | None, stride: int, bits: int) -> dict[str, Any]:
    """A convolution without padding, weight out×in×side×side."""
    outputs, inputs, kernel, _ = weight.shape
    shape = {"outputs": outputs, "inputs": inputs, "kernel": kernel, "stride": stride}
    shift = torch.zeros(outputs) if bias is None else bias
    numbers = {"weight": halves(weight)} if bits == 16 else octets(weight)
    return {"kind": "convolution", **shape, **numbers, "bias": halves(shift)}


def octets(weight: Tensor) -> dict[str, str]:
    """Weights as whole numbers of a byte, each output's with a factor of its own (Jacob et al. 2018, symmetric)."""
    largest = weight.flatten(1).abs().amax(1).clamp(min=1e-3)
    factor = (largest / LEVELS).half().float()
    whole = (weight / factor.view(-1, 1, 1, 1)).round().clamp(-LEVELS, LEVELS).to(torch.int8)
    return {"weight": base64.b64encode(whole.numpy().tobytes()).decode(), "factor": halves(factor)}


def scale(norm: nn.BatchNorm2d) -> dict[str, Any]:
    """A batch norm as a factor and a bias for each channel."""
    assert norm.running_var is not None and norm.running_mean is not None
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return {"kind": "scale", "weight": halves(factor), "bias": halves(norm.bias - norm.running_mean * factor)}


def halves(values: Tensor) -> str:
    """Numbers as float16, little-endian, in base64. Raises RunError for any that is too large for it."""
    exact = values.detach().numpy()
    with np.errstate(over="ignore"):
        half = exact.astype("<f2")
    if not np.isfinite(half).all():
        raise RunError(f"a weight of {np.abs(exact).max():g} is too large for 16 bits")
    return base64.b64encode(half.tobytes()).decode()


def to_replay(drawings: Sequence[Strokes]) -> list[list[list[list[float]]]]:
    """The last drawings, placed in the middle of the page's paper; without those that would be too many points."""
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
