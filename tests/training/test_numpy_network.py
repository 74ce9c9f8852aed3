"""The network in NumPy: torch's answers without torch, and nothing but weights read from a file."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from mnistlib.core.errors import RunError
from mnistlib.core.files import bytes_digest, write_json
from mnistlib.data.loading import obtain
from mnistlib.evaluation.calibration import Calibration, save_calibration
from mnistlib.evaluation.metrics import predict_logits
from mnistlib.inference.predictor import load_predictor, quick_predictor
from mnistlib.runs import layout
from mnistlib.runs.layout import Run
from mnistlib.runs.model_store import with_digest
from mnistlib.training.model import Architecture, DigitNet, build, save_model
from mnistlib.training.numpy_network import NumpyNet, as_array, read_state

ARCHITECTURES = {
    "default": Architecture(),
    "best": Architecture((32, 64, 128), 96, kernels=(3, 3, 3), pooling=("none", "max", "max"), dropout=0.05),
    "even kernels": Architecture((4, 6, 8), 16, kernels=(4, 2, 3), pooling=("max", "stride", "stride")),
    "other pixels": Architecture((4, 8, 16), 32, mean=0.3, std=0.4, classes=7),
}


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    return Run("r")


def trained(architecture: Architecture) -> DigitNet:
    """A network whose batch norms have statistics and scales of their own, negative ones among them."""
    network = build(architecture, 0)
    generator = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            layer.running_mean.copy_(torch.randn(layer.num_features, generator=generator) * 0.2)
            layer.running_var.copy_(torch.rand(layer.num_features, generator=generator) + 0.1)
            layer.weight.data.copy_(torch.randn(layer.num_features, generator=generator))
            layer.bias.data.copy_(torch.randn(layer.num_features, generator=generator))
    return network


def keep(run: Run, architecture: Architecture, calibration: Calibration) -> None:
    save_model(run, trained(architecture), {"dataset": "mnist"})
    save_calibration(run, calibration)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_its_logits_are_torchs(run, name):
    images = obtain("digits").test_images
    keep(run, ARCHITECTURES[name], Calibration(1.0, 0.0, 0.0, 1.0, 0.0))
    slow, quick = load_predictor("r"), quick_predictor("r")
    assert isinstance(quick.network, NumpyNet)
    expected, found = predict_logits(slow.network, images), predict_logits(quick.network, images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    threshold = float(np.median([p.confidence for p in slow.images(images)]))
    save_calibration(run, Calibration(1.5, threshold + 1e-3, 0.5, 0.5, 0.0))
    pairs = zip(load_predictor("r").images(images), quick_predictor("r").images(images), strict=True)
    assert all((a.digit, a.accepted, a.rejection_reason) == (b.digit, b.accepted, b.rejection_reason) for a, b in pairs)


class Touch:
    """What a hostile file would run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def archived(pickled: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
    return buffer.getvalue()


def test_code_in_a_file_of_weights_is_not_run(run, tmp_path):
    keep(run, ARCHITECTURES["other pixels"], Calibration(1.0, 0.0, 0.0, 1.0, 0.0))
    buffer = io.BytesIO()
    torch.save({"a": Touch(tmp_path / "touched")}, buffer)
    hostile = buffer.getvalue()
    with pytest.raises(pickle.UnpicklingError, match="is no part of weights"):
        read_state(hostile)
    run.weights.write_bytes(hostile)
    described = json.loads(run.model_json.read_text()) | {"weights_sha256": bytes_digest(hostile)}
    write_json(run.model_json, with_digest(described))
    with pytest.raises(RunError, match="holds more than weights"):
        quick_predictor("r")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {1: 2}])
def test_anything_but_arrays_by_name_is_refused(content):
    with pytest.raises((pickle.UnpicklingError, AttributeError)):
        read_state(archived(pickle.dumps(content, protocol=2)))


@pytest.mark.parametrize("place", [(0, (4, 4), (4, 1)), (8, (5,), (1,)), (-1, (2,), (1,)), (0, (2,), (-1,))])
def test_a_tensor_beyond_its_storage_is_refused(place):
    with pytest.raises(pickle.UnpicklingError, match="beyond its storage"):
        as_array(np.zeros(12, np.float32), *place)


def test_a_tensor_is_read_in_the_order_of_its_strides():
    assert as_array(np.arange(12.0), 1, (2, 3), (1, 4)).tolist() == [[1, 5, 9], [2, 6, 10]]


def test_torch_reads_what_numpy_cannot(run):
    keep(run, ARCHITECTURES["other pixels"], Calibration(1.0, 0.0, 0.0, 1.0, 0.0))
    buffer = io.BytesIO()
    torch.save({name: value.double() for name, value in torch.load(run.weights).items()}, buffer)
    run.weights.write_bytes(buffer.getvalue())
    digest = bytes_digest(buffer.getvalue())
    write_json(run.model_json, with_digest(json.loads(run.model_json.read_text()) | {"weights_sha256": digest}))
    save_calibration(run, Calibration(1.0, 0.0, 0.0, 1.0, 0.0))
    assert not isinstance(quick_predictor("r").network, NumpyNet)


@pytest.mark.parametrize(
    ("part", "value"), [("hidden", 33), ("widths", [4, 8, 17]), ("classes", 8), ("pooling", ["max", "max", "none"])]
)
def test_an_architecture_that_does_not_fit_the_weights_is_refused_in_words(run, part, value):
    keep(run, ARCHITECTURES["other pixels"], Calibration(1.0, 0.0, 0.0, 1.0, 0.0))
    described = json.loads(run.model_json.read_text())
    described["architecture"][part] = value
    write_json(run.model_json, with_digest(described))
    with pytest.raises(RunError, match="re-run 03_train"):
        quick_predictor("r")


def test_damaged_weights_are_reported_with_both_hashes(run):
    keep(run, ARCHITECTURES["other pixels"], Calibration(1.0, 0.0, 0.0, 1.0, 0.0))
    content = bytearray(run.weights.read_bytes())
    content[-200] ^= 1
    run.weights.write_bytes(content)
    with pytest.raises(RunError, match=r"is damaged: SHA-256 .*, model\.json says"):
        quick_predictor("r")
    run.weights.unlink()
    with pytest.raises(RunError, match="is missing: re-run 03_train"):
        quick_predictor("r")
