"""Export of a network to ONNX, checked against torch: `make export RUN=…`."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import statistics
import timeit
import warnings
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from mnistlib.core.errors import RunError
from mnistlib.core.files import shown, write_bytes
from mnistlib.core.log import say
from mnistlib.core.system_info import pip_install
from mnistlib.data.preprocess import load_split
from mnistlib.evaluation.calibration import load_calibration
from mnistlib.runs.layout import Run, check_own_files, existing_run, existing_runs
from mnistlib.runs.model_store import read_description
from mnistlib.training.fusion import FusedNet
from mnistlib.training.model import SIDE, load_model

NEEDED = ("onnx", "onnxruntime", "onnxscript")
COMPARED = 1000
TOLERANCE = 1e-4


def export_run(name: str) -> int:
    """Export the model of a run as ONNX.

    Args:
        name: of the run; empty for the newest.

    Returns:
        The exit code, 0.

    Raises:
        RunError: there is no such run, a package is missing, or the logits differ.
    """
    run = existing_run(name) if name else next(iter(existing_runs()), None)
    if run is None:
        raise RunError("no run holds a model yet: make all, then make export")
    check_own_files(run)
    say(export_onnx(run))
    return 0


def export_onnx(run: Run) -> str:
    """Write `models/model.onnx` when ONNX Runtime's logits differ from torch's by at most 1e-4.

    Its input `images` is float32 N×1×28×28 in 0…1, its output `logits` float32 N×classes. Its metadata hold the
    calibration, the run and the weights' SHA-256.

    Returns:
        A line for the terminal: size, largest difference, and time per image.

    Raises:
        RunError: when a package is missing or the logits differ; then nothing is written.
    """
    missing = [name for name in NEEDED if not importlib.util.find_spec(name)]
    if missing:
        raise RunError(f"make export needs {', '.join(missing)}: {pip_install(*NEEDED)}")
    network = FusedNet(load_model(run)).eval()
    content = to_onnx(network, metadata(run))
    images = np.asarray(load_split(run, "test").images[:COMPARED], np.float32)[:, None] / 255
    answer = runtime(content)
    with torch.inference_mode():
        gap = float(np.abs(network(torch.from_numpy(images)).numpy() - answer(images)).max())
        if not gap <= TOLERANCE:  # also true for NaN
            raise RunError(f"ONNX Runtime's logits differ from torch's by {gap:.2g}, above {TOLERANCE:g}: not written")
        ours = milliseconds(lambda: network(torch.from_numpy(images[:1])))
    theirs = milliseconds(lambda: answer(images[:1]))
    write_bytes(run.onnx, content)
    return (
        f"{shown(run.onnx)}: {len(content) / 1e3:,.0f} kB; logits of {len(images):,} test pictures differ by {gap:.1g} "
        f"at most; one picture {theirs:.2f} ms with ONNX Runtime, {ours:.2f} ms with torch (medians)"
    )


def metadata(run: Run) -> dict[str, str]:
    """Return the ONNX file's metadata: calibration as JSON, the run's name, and the weights' SHA-256."""
    calibration = json.dumps(asdict(load_calibration(run)))
    return {"calibration": calibration, "run": run.name, "weights_sha256": read_description(run)["weights_sha256"]}


def to_onnx(network: FusedNet, properties: dict[str, str]) -> bytes:
    """Convert the fused network to an ONNX model for any number of images."""
    import onnx

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    buffer, example = io.BytesIO(), torch.zeros(2, 1, SIDE, SIDE)
    shapes = {"images": {0: torch.export.Dim("count")}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's exporter uses deprecated names
        program: Any = torch.onnx.export(
            network,
            (example,),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=shapes,
            dynamo=True,
            verbose=False,
        )
    program.save(buffer)
    model = onnx.load_from_string(buffer.getvalue())
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def runtime(content: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """Return ONNX Runtime's function from images float32 N×1×28×28 to logits, with as many threads as torch."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


def milliseconds(call: Callable[[], object]) -> float:
    """Return the median time of 200 calls."""
    return 1e3 * statistics.median(timeit.repeat(call, number=1, repeat=200))
