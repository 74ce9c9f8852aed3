"""Cost against dataset size: an epoch of the default recipe on an eighth of MNIST up to ten times MNIST.

`python -m bench.speed.scaling EXAMPLES FOLDER` trains on that many pictures and prints seconds and memory as JSON. The
pictures are MNIST's and augmented copies of them, in a memory-mapped file in FOLDER.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from bench.accuracy.profiles import design
from mnistlib.core import config
from mnistlib.core.files import ROOT
from mnistlib.data.augmentation import Distortion, distort
from mnistlib.data.datasets import Raw
from mnistlib.data.loading import obtain
from mnistlib.data.preprocess import Split
from mnistlib.training.device import pick_device, pick_precision
from mnistlib.training.loop import fit
from mnistlib.training.tensor_dataset import TensorDataset, effective_batch_size

SHARES = (1 / 8, 1 / 4, 1 / 2, 1, 10)
AT_ONCE = 5000


def measure_scaling(raw: Raw) -> list[dict[str, Any]]:
    """Return seconds per epoch and peak private memory for each size, each measured in a new process."""
    rows = []
    for share in SHARES:
        with tempfile.TemporaryDirectory() as folder:
            count = round(len(raw.train_labels) * share)
            command = [sys.executable, "-m", "bench.speed.scaling", str(count), folder]
            rows.append(json.loads(subprocess.check_output(command, cwd=ROOT, text=True)))
    return rows


def main() -> int:
    count, folder = int(sys.argv[1]), Path(sys.argv[2])
    raw, p = obtain("mnist"), config.load("default", "train.epochs=1")
    device, sizes = pick_device(), []
    data = enlarged(raw, count, folder)
    train = TensorDataset.of(device, data)
    val = TensorDataset.of(device, (raw.train_images[:AT_ONCE], raw.train_labels[:AT_ONCE]))
    network, recipe = design(p, data, raw, 0, effective_batch_size(len(train), p.train.batch_size))
    precision = pick_precision("auto", device)

    def record_memory(step: int, steps: int) -> None:
        sizes.append(own_memory())

    _, history = fit(network.to(device), train, val, recipe, seed=0, precision=precision, on_step=record_memory)
    print(json.dumps({"examples": count, "epoch_seconds": history[0].seconds, "peak_own_bytes": max(sizes)}))
    return 0


def enlarged(raw: Raw, count: int, folder: Path) -> Split:
    """Return `count` training pictures as a memory map: the dataset's, then augmented copies of them."""
    path, have = folder / "images.npy", len(raw.train_labels)
    noise, distortion = torch.Generator().manual_seed(0), Distortion(10, 0.1, 0.1, 0.05)
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (count, 28, 28))
    for start in range(0, count, AT_ONCE):
        places = np.arange(start, min(start + AT_ONCE, count))
        pictures = raw.train_images[places % have]
        if start >= have:
            floats = torch.from_numpy(pictures)[:, None].float()
            pictures = distort(floats, distortion, noise)[:, 0].round().clamp(0, 255).byte().numpy()
        images[places] = pictures
    images.flush()
    del images
    return Split(np.load(path, mmap_mode="r"), raw.train_labels[np.arange(count) % have])


def own_memory() -> int:
    """Return the process's private memory in bytes, without pages mapped from files."""
    memory = psutil.Process().memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


if __name__ == "__main__":
    sys.exit(main())
