"""Cost against the size of the data: an epoch of the default recipe on parts of the dataset, and on ten times as much.

`python -m bench.scaling EXAMPLES FOLDER` trains on that many pictures, the dataset's own and distortions of them, from
a file in FOLDER that is mapped into memory and never read whole, and prints seconds and memory as JSON.
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

from bench.profiles import design
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
    """Seconds for one epoch and the process's peak of memory of its own, each size in a process of its own."""
    rows = []
    for share in SHARES:
        with tempfile.TemporaryDirectory() as folder:
            count = round(len(raw.train_labels) * share)
            command = [sys.executable, "-m", "bench.scaling", str(count), folder]
            rows.append(json.loads(subprocess.check_output(command, cwd=ROOT, text=True)))
    return rows


def main() -> int:
    count, folder = int(sys.argv[1]), Path(sys.argv[2])
    raw, p = obtain("mnist"), config.load("default", "train.epochs=1")
    device, sizes = pick_device(), []
    part = enlarged(raw, count, folder)
    train = TensorDataset.of(device, part)
    val = TensorDataset.of(device, (raw.train_images[:AT_ONCE], raw.train_labels[:AT_ONCE]))
    network, recipe = design(p, part, raw, 0, effective_batch_size(len(train), p.train.batch_size))
    precision = pick_precision("auto", device)

    def watch(step: int, steps: int) -> None:
        sizes.append(own_memory())

    _, history = fit(network.to(device), train, val, recipe, seed=0, precision=precision, on_step=watch)
    print(json.dumps({"examples": count, "epoch_seconds": history[0].seconds, "peak_own_bytes": max(sizes)}))
    return 0


def enlarged(raw: Raw, count: int, folder: Path) -> Split:
    """`count` training pictures as a memory map: the dataset's own, then the same distorted, again and again."""
    path, have = folder / "images.npy", len(raw.train_labels)
    chance, bend = torch.Generator().manual_seed(0), Distortion(10, 0.1, 0.1, 0.05)
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (count, 28, 28))
    for start in range(0, count, AT_ONCE):
        places = np.arange(start, min(start + AT_ONCE, count))
        pictures = raw.train_images[places % have]
        if start >= have:
            floats = torch.from_numpy(pictures)[:, None].float()
            pictures = distort(floats, bend, chance)[:, 0].round().clamp(0, 255).byte().numpy()
        images[places] = pictures
    images.flush()
    del images
    return Split(np.load(path, mmap_mode="r"), raw.train_labels[np.arange(count) % have])


def own_memory() -> int:
    """Bytes of memory that are this process's own: what is mapped from files the system can take back."""
    memory = psutil.Process().memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


if __name__ == "__main__":
    sys.exit(main())
