"""The network for programs without torch, as ONNX, and the proof that it says the same: for `make export RUN=…`."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import statistics
import time
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
from mnistlib.runs.layout import Run, check_own_files, existing, existing_runs
from mnistlib.runs.model_store import read_description
from mnistlib.training.fusion import FusedNet
from mnistlib.training.model import SIDE, load_model

NEEDED = ("onnx", "onnxruntime", "onnxscript")
COMPARED = 1000
TOLERANCE = 1e-4


def export_run(name: str) -> int:
    """Export the model of the run, or of the newest one without a name; return the exit code."""
    run = existing(name) if name else next(iter(existing_runs()), None)
    if run is None:
        raise RunError("no run holds a model yet: make all, then make export")
    check_own_files(run)
    say(export_onnx(run))
    return 0


def export_onnx(run: Run) -> str:
    """Write `models/model.onnx` once ONNX Runtime gives the logits that torch gives; returns what to tell.

    Its input `images` is float32 N×1×28×28 in 0…1, its output `logits` float32 N×classes; `metadata` says
    of what it was made. Raises RunError, and writes nothing, when what is needed is missing or the logits differ by
    more than 1e-4.
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
        if not gap <= TOLERANCE:  # nor where it is NaN
            raise RunError(f"ONNX Runtime's logits differ from torch's by {gap:.2g}, above {TOLERANCE:g}: not written")
        ours = milliseconds(lambda: network(torch.from_numpy(images[:1])))
    theirs = milliseconds(lambda: answer(images[:1]))
    write_bytes(run.onnx, content)
    return (
        f"{shown(run.onnx)}: {len(content) / 1e3:,.0f} kB; logits of {len(images):,} test pictures differ by {gap:.1g} "
        f"at most; one picture {theirs:.2f} ms with ONNX Runtime, {ours:.2f} ms with torch (medians)"
    )


def metadata(run: Run) -> dict[str, str]:
    """What the file says besides the network: temperature and thresholds, and the run and weights that it is of."""
    calibration = json.dumps(asdict(load_calibration(run)))
    return {"calibration": calibration, "run": run.name, "weights_sha256": read_description(run)["weights_sha256"]}


def to_onnx(network: FusedNet, told: dict[str, str]) -> bytes:
    """The fused network as an ONNX model for any number of images."""
    import onnx

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    buffer, example = io.BytesIO(), torch.zeros(2, 1, SIDE, SIDE)
    shapes = {"images": {0: torch.export.Dim("count")}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's exporter calls torch's old names
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
    onnx.helper.set_model_props(model, told)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def runtime(content: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """ONNX Runtime's answer to images float32 N×1×28×28: logits N×classes, with as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


def milliseconds(call: Callable[[], object], times: int = 200) -> float:
    """The median of that many calls."""
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        spent.append((time.perf_counter() - began) * 1e3)
    return statistics.median(spent)
