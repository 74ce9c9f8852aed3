"""The network: architecture, construction, saving and loading."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from mnistlib.core.errors import RunError
from mnistlib.core.files import bytes_digest, shown, write_json
from mnistlib.core.formatting import dims
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import FORMAT, read_description, read_weights, replace_file, retrain_advice, with_digest

SIDE = 28


@dataclass(frozen=True)
class Architecture:
    """Everything needed to build the network again.

    Attributes:
        widths: channels of the three convolutions.
        hidden: width of the embedding, the penultimate layer.
        dropout: probability in 0…1.
        classes: number of classes.
        mean, std: of the training set's pixels in 0…1; the network normalizes its input itself.
        kernels: side of each convolution's kernel, without padding.
        pooling: how each convolution's map is reduced: "stride" (2), "max" (2×2 max-pooling after it) or "none".
    """

    widths: tuple[int, ...] = (16, 48, 96)
    hidden: int = 128
    dropout: float = 0.0
    classes: int = 10
    mean: float = 0.1307
    std: float = 0.3081
    kernels: tuple[int, ...] = (5, 3, 3)
    pooling: tuple[str, ...] = ("stride", "max", "none")

    def sides(self) -> list[int]:
        """Return the sides of the reduced maps. Raises RunError for a map that vanishes or an unknown pooling."""
        if not set(self.pooling) <= {"stride", "max", "none"}:
            raise RunError(f"train.pooling is {list(self.pooling)}: each can be stride, max or none")
        sides, side = [], SIDE
        for kernel, pooling in zip(self.kernels, self.pooling, strict=True):
            side = (side - kernel) // (2 if pooling == "stride" else 1) + 1
            side //= 2 if pooling == "max" else 1
            sides.append(side)
        if min(sides) < 1:
            raise RunError(
                f"train.kernels {list(self.kernels)} with train.pooling {list(self.pooling)} leave maps of {sides} "
                f"pixels a side, from {SIDE}: take smaller kernels or pool less"
            )
        return sides


ARCHITECTURE = TypeAdapter(Architecture)


class DigitNet(nn.Module):
    """Three convolutions with batch norm, then two fully connected layers.

    By default the maps shrink 28×28 → 12×12 → 5×5 → 3×3. The first convolution uses a stride, because the backward pass
    of pooling the largest maps costs more than the convolution itself.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a, inputs = architecture, (1, *architecture.widths)
        self.architecture, last = architecture, architecture.sides()[-1]
        blocks = zip(inputs, a.widths, a.kernels, a.pooling, strict=False)
        self.convolutions = nn.Sequential(*(layer for block in blocks for layer in convolution(*block)))
        self.embedding = nn.Sequential(
            nn.Dropout2d(a.dropout),
            Flatten(),
            nn.Linear(a.widths[-1] * last**2, a.hidden, bias=False),
            nn.BatchNorm1d(a.hidden),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(nn.Dropout(a.dropout), nn.Linear(a.hidden, a.classes))

    def embed(self, images: Tensor) -> Tensor:
        """Return penultimate activations float N×hidden of images float N×1×28×28 in 0…1."""
        a = self.architecture
        normalized: Tensor = (images - a.mean) / a.std
        embeddings: Tensor = self.embedding(self.convolutions(normalized))
        return embeddings

    def forward(self, images: Tensor) -> Tensor:
        """Return logits float N×classes of images float N×1×28×28 in 0…1, ink bright on dark."""
        logits: Tensor = self.head(self.embed(images))
        return logits


class Flatten(nn.Module):
    """Flatten maps N×C×H×W to rows H·W·C: channels last, as they lie in memory, so nothing is copied."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(0, 2, 3, 1).flatten(1)


def convolution(inputs: int, width: int, kernel: int, pooling: str) -> list[nn.Module]:
    """Return a convolution with batch norm; pooling comes first, so that the norm has a quarter to do."""
    return [
        nn.Conv2d(inputs, width, kernel, stride=2 if pooling == "stride" else 1, bias=False),
        *([nn.MaxPool2d(2)] if pooling == "max" else []),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    ]


def build(architecture: Architecture, seed: int) -> DigitNet:
    """Build a network on the CPU whose random weights depend on the seed alone.

    Raises:
        RunError: as `Architecture.sides`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DigitNet(architecture)
    network.convolutions.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in network.parameters())


def layer_rows(network: DigitNet) -> list[dict[str, Any]]:
    """Return one row per layer: its kind, its output's shape for one image, and its number of parameters."""
    rows: list[dict[str, Any]] = []
    x = torch.zeros(1, 1, SIDE, SIDE, device=next(network.parameters()).device)
    layers = (*network.convolutions, *network.embedding, *network.head)
    active = [layer for layer in layers if getattr(layer, "p", 1)]  # without a dropout that drops nothing
    was_training = network.training
    network.eval()
    with torch.no_grad():
        for layer in active:
            x = layer(x)
            count = count_parameters(layer)
            rows.append({"layer": layer_name(layer), "output": dims(x.shape[1:]), "parameters": count})
    network.train(was_training)
    return rows


def layer_name(layer: nn.Module) -> str:
    """Return a layer's kind and its arguments in a few words."""
    match layer:
        case nn.Conv2d():
            return f"Conv2d {layer.kernel_size[0]} × {layer.kernel_size[1]}, stride {layer.stride[0]}"
        case nn.MaxPool2d():
            return f"MaxPool2d {layer.kernel_size} × {layer.kernel_size}"
        case nn.Dropout() | nn.Dropout2d():
            return f"{type(layer).__name__} {layer.p:g}"
    return type(layer).__name__


def save_model(run: Run, network: DigitNet, training: dict[str, Any]) -> str:
    """Write the weights and `model.json`, and delete an ONNX export of other weights.

    Args:
        run: the run to write into.
        network: the trained network.
        training: facts about the training, stored in `model.json`.

    Returns:
        The SHA-256 of the weights file, in hex.
    """
    buffer = io.BytesIO()
    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    torch.save(state, buffer)
    weights = buffer.getvalue()
    described = {
        "format": FORMAT,
        "architecture": asdict(network.architecture),
        "input": "uint8 28×28, ink bright on dark, framed as MNIST, divided by 255",
        "classes": list(range(network.architecture.classes)),
        "parameters": count_parameters(network),
        "weights_sha256": bytes_digest(weights),
        "training": training,
    }
    replace_file(run, run.weights, weights)
    write_json(run.model_json, with_digest(described))
    return bytes_digest(weights)


def load_model(run: Run) -> DigitNet:
    """Return a run's network in eval mode, on the CPU.

    Raises:
        RunError: when weights or description are missing, damaged or do not belong together.
    """
    described = read_description(run)
    network = described_network(run, described["architecture"])
    try:
        network.load_state_dict(read_weights(run, described["weights_sha256"]))
    except (RuntimeError, TypeError, AttributeError) as error:
        raise RunError(
            f"{shown(run.weights)} was made by another version of the network: {retrain_advice(run)}"
        ) from error
    if not all(bool(values.isfinite().all()) for values in network.state_dict().values()):
        raise RunError(f"{shown(run.weights)} holds weights that are not finite numbers: {retrain_advice(run)}")
    return network.eval()


def described_network(run: Run, fields: dict[str, Any]) -> DigitNet:
    """Build the network that `model.json` describes, with random weights. Raises RunError."""
    try:
        return build(ARCHITECTURE.validate_python(vars(Architecture(**fields))), seed=0)
    except RunError:
        raise
    except Exception as error:  # torch raises many kinds for impossible sizes
        where = f"{shown(run.model_json)} is damaged or of another version at architecture"
        raise RunError(f"{where}: {retrain_advice(run)}") from error
