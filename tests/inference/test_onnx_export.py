"""The network as ONNX: checked by ONNX itself, run by ONNX Runtime, and written only when the answers agree."""

import hashlib
import json
import os

import numpy as np
import pytest

from mnistlib.core.errors import RunError
from mnistlib.data.preprocess import load_split
from mnistlib.evaluation.calibration import Calibration, load_calibration, save_calibration
from mnistlib.evaluation.metrics import predict_logits
from mnistlib.inference import onnx_export
from mnistlib.runs.layout import Run
from mnistlib.training.model import Architecture, build, load_model, save_model


@pytest.fixture
def run(smoke):
    return Run("smoke", smoke.folder / "runs")


@pytest.fixture
def onnx():
    if not all(map(onnx_export.importlib.util.find_spec, onnx_export.NEEDED)):
        said = f"make export is not tried: pip install {' '.join(onnx_export.NEEDED)}"
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") else pytest.skip)(said)
    import onnx

    return onnx


def test_what_is_missing_is_named(run, monkeypatch):
    monkeypatch.setattr(onnx_export, "NEEDED", ("numpy", "no_such_package"))
    with pytest.raises(RunError, match=r"make export needs no_such_package: \S+ -m pip install numpy no_such_package"):
        onnx_export.export_onnx(run)


@pytest.mark.slow
def test_the_file_alone_gives_the_logits_of_the_network_before_fusion(run, onnx):
    message = onnx_export.export_onnx(run)
    model = onnx.load(run.onnx)
    images = load_split(run, "test").images[:50]
    inputs = (images / np.float32(255)).astype(np.float32)[:, None]
    (said,) = onnx.reference.ReferenceEvaluator(model).run(None, {"images": inputs})
    assert np.allclose(said, predict_logits(load_model(run), images), atol=1e-4)
    kept = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(kept["calibration"])["temperature"] == load_calibration(run).temperature
    assert kept["weights_sha256"] == hashlib.sha256(run.weights.read_bytes()).hexdigest()
    assert "models/model.onnx" in message


def test_its_metadata_name_weights_and_thresholds(run):
    metadata = onnx_export.metadata(run)
    assert metadata["weights_sha256"] == hashlib.sha256(run.weights.read_bytes()).hexdigest()
    assert json.loads(metadata["calibration"]) == vars(load_calibration(run))


def test_a_model_or_calibration_that_is_another_takes_the_export_of_the_old_one_away(tmp_path):
    run = Run("r", tmp_path)

    def stays(save, made) -> bool:
        run.onnx.parent.mkdir(exist_ok=True, parents=True)
        run.onnx.write_bytes(b"an export")
        save(made)
        return run.onnx.exists()

    networks = [build(Architecture((4, 8, 16), 32), seed) for seed in (0, 0, 1)]
    assert [stays(lambda n: save_model(run, n, {}), network) for network in networks] == [False, True, False]
    found = [Calibration(temperature, 0.8, 5.0, 0.95, 0.001) for temperature in (1.2, 1.2, 1.3)]
    assert [stays(lambda f: save_calibration(run, f), each) for each in found] == [False, True, False]


def test_other_logits_are_not_written(run, onnx, monkeypatch):
    run.onnx.unlink(missing_ok=True)
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    with pytest.raises(RunError, match="differ from torch"):
        onnx_export.export_onnx(run)
    assert not run.onnx.exists()
