"""The trained network in NumPy: torch's logits for a few images without the seconds that importing torch takes."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import read_description, weights_bytes

EPSILON = 1e-5  # of torch's batch norm
KINDS = {"FloatStorage": "<f4", "LongStorage": "<i8"}


class UnsupportedError(Exception):
    """NumPy cannot compute with these weights or this architecture; torch may."""


@dataclass(frozen=True)
class NumpyNet:
    """A trained network in NumPy.

    Attributes:
        weights: arrays by the names of torch's state dict.
        architecture: as `model.json` describes it.
    """

    weights: dict[str, np.ndarray]
    architecture: dict[str, Any]

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return logits float32 N×classes of images uint8 N×28×28."""
        a, at = self.architecture, 0
        maps = ((images / np.float32(255) - np.float32(a["mean"])) / np.float32(a["std"]))[..., None]
        for pooling in a["pooling"]:
            maps = convolve(maps, self.weights[f"convolutions.{at}.weight"], 2 if pooling == "stride" else 1)
            if pooling == "max":
                maps, at = max_pool(maps), at + 1
            maps = self.norm_relu(maps, f"convolutions.{at + 1}")
            at += 3
        hidden = maps.reshape(len(maps), -1) @ self.weights["embedding.2.weight"].T
        hidden = self.norm_relu(hidden, "embedding.3")
        return hidden @ self.weights["head.1.weight"].T + self.weights["head.1.bias"]

    def norm_relu(self, values: np.ndarray, layer: str) -> np.ndarray:
        """Apply batch norm over the last axis, then ReLU."""
        weight, bias, mean, variance = (
            self.weights[f"{layer}.{name}"] for name in ("weight", "bias", "running_mean", "running_var")
        )
        scale = weight / np.sqrt(variance + np.float32(EPSILON))
        return np.maximum(values * scale + (bias - mean * scale), 0)


def convolve(maps: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    """Convolve maps N×H×W×C with a weight out×C×side×side, without padding: N×h×w×out."""
    windows = np.lib.stride_tricks.sliding_window_view(maps, weight.shape[2:], axis=(1, 2))[:, ::stride, ::stride]
    rows = windows.reshape(-1, weight[0].size)
    return (rows @ weight.reshape(len(weight), -1).T).reshape(*windows.shape[:3], len(weight))


def max_pool(maps: np.ndarray) -> np.ndarray:
    """Pool maps N×H×W×C by 2×2 maxima; an odd last row or column is dropped, as in torch."""
    height, width = (side // 2 * 2 for side in maps.shape[1:3])
    rows = np.maximum(maps[:, 0:height:2], maps[:, 1:height:2])
    return np.maximum(rows[:, :, 0:width:2], rows[:, :, 1:width:2])


def load_numpy_network(run: Run) -> NumpyNet:
    """Load a run's network without torch.

    Raises:
        UnsupportedError: when only torch can read or compute the network.
        RunError: when a file is missing or damaged.
    """
    described = read_description(run)
    content = weights_bytes(run, described["weights_sha256"])
    try:
        network = NumpyNet(read_state(content), described["architecture"])
        check_architecture(network.architecture, network.weights)
        if not np.isfinite(network.logits(np.zeros((1, 28, 28), np.uint8))).all():
            raise UnsupportedError("logits that are not finite")
    except Exception as error:  # torch decides, and names the fault
        raise UnsupportedError(f"{type(error).__name__}: {error}") from error
    return network


def check_architecture(a: dict[str, Any], weights: dict[str, np.ndarray]) -> None:
    """Raise UnsupportedError when the shapes of the weights do not fit the architecture."""
    kernels = [[array.shape[0], array.shape[2]] for array in weights.values() if array.ndim == 4]
    found = [kernels, *(len(weights[name]) for name in ("embedding.2.weight", "head.1.weight"))]
    wanted = [[list(pair) for pair in zip(a["widths"], a["kernels"], strict=True)], a["hidden"], a["classes"]]
    if found != wanted or not set(a["pooling"]) <= {"stride", "max", "none"}:
        raise UnsupportedError(f"weights of {found}, architecture of {wanted} with pooling {a['pooling']}")


def read_state(content: bytes) -> dict[str, np.ndarray]:
    """Return arrays by name from a file of `torch.save`, without running its code. Raises many kinds of error."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        state = WeightsUnpickler(archive, pickled.removesuffix("data.pkl")).load()
    if not all(isinstance(name, str) and isinstance(array, np.ndarray) for name, array in state.items()):
        raise pickle.UnpicklingError("more than arrays by their names")
    return dict(state)


class WeightsUnpickler(pickle.Unpickler):
    """Accept tensors of plain storages and nothing else, as `torch.load(weights_only=True)` does."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{folder}data.pkl")))
        self.archive, self.folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return as_array
        if module == "torch" and name in KINDS:
            return KINDS[name]
        raise pickle.UnpicklingError(f"{module}.{name} is no part of weights")

    def persistent_load(self, pid: Any) -> np.ndarray:
        _, kind, key, *_ = pid
        return np.frombuffer(self.archive.read(f"{self.folder}data/{key}"), kind)


def as_array(storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> np.ndarray:
    """Return a tensor's view of its storage. Raises UnpicklingError when it lies outside."""
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min(offset, *size, *stride, 0) < 0 or last >= len(storage):
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    return np.lib.stride_tricks.as_strided(storage[offset:], size, [step * storage.itemsize for step in stride])
