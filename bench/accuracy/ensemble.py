"""An ensemble of ten networks: five of `best` on the pictures as they are, five on deslanted pictures.

Networks that see the same pictures make the same mistakes, and a deslanted digit is a different picture of it.
`python -m bench.accuracy.ensemble` trains all ten, none picked, and prints the accuracy of their mean probabilities.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from bench.accuracy.profiles import SEEDS, reported, train_profile, unchanged
from mnistlib.core.formatting import Table
from mnistlib.data.augmentation import affine_grid
from mnistlib.data.datasets import Raw
from mnistlib.data.loading import obtain
from mnistlib.evaluation.metrics import accuracy, softmax

PROFILE = "best"
AT_ONCE = 5000
STEEPEST = 1.2


def deslant(images: np.ndarray) -> np.ndarray:
    """Shear each picture about its barycenter until the covariance of x and y of its ink is 0.

    By moments, as in LeCun et al. 1998 (https://doi.org/10.1109/5.726791). Pictures without ink stay unchanged.

    Args:
        images: uint8, N×28×28.

    Returns:
        uint8, N×28×28, sheared by at most `STEEPEST` pixels sideways per pixel upwards.
    """
    batches = (deslant_batch(images[i : i + AT_ONCE]) for i in range(0, len(images), AT_ONCE))
    return np.concatenate([images[:0], *batches])


def deslant_batch(images: np.ndarray) -> np.ndarray:
    ink = images.astype(np.float64)
    side, total = np.arange(ink.shape[-1], dtype=np.float64), ink.sum((1, 2)) + 1e-9
    y, x = (ink.sum(axis) @ side / total for axis in (2, 1))
    down, across = side - y[:, None], side - x[:, None]
    upwards = (ink.sum(2) * down**2).sum(1) / total
    lean = np.einsum("nyx,ny,nx->n", ink, down, across) / total / np.maximum(upwards, 1e-3)
    lean = np.clip(lean, -STEEPEST, STEEPEST)
    half = len(side) / 2
    maps = np.tile(np.eye(2, 3), (len(images), 1, 1))
    maps[:, 0, 1], maps[:, 0, 2] = lean, -lean * (y + 0.5 - half) / half
    grid = affine_grid(torch.from_numpy(maps).float(), *images.shape[1:])
    moved = F.grid_sample(torch.from_numpy(ink).float()[:, None], grid, mode="bilinear", align_corners=False)
    result: np.ndarray = moved[:, 0].round().clamp(0, 255).byte().numpy()
    return result


VIEWS = {"as they are": unchanged, "deslanted": deslant}


def measure_ensemble(raw: Raw) -> None:
    """Train the members; print the mean accuracy and the ensemble's accuracy of each kind and of both."""
    members = {name: np.stack([train_member(raw, name, seed) for seed in SEEDS]) for name in VIEWS}
    rows = []
    for name, probabilities in (members | {"both": np.concatenate(list(members.values()))}).items():
        mean = float(np.mean([accuracy(one, raw.test_labels) for one in probabilities]))
        ensemble = accuracy(probabilities.mean(0), raw.test_labels)
        rows.append({"pictures": name, "n": len(probabilities), "mean_accuracy": mean, "ensemble_accuracy": ensemble})
    print(f"\n{PROFILE}, test accuracy of the networks and of their ensemble:\n{Table(rows)}", flush=True)


def train_member(raw: Raw, name: str, seed: int) -> np.ndarray:
    """Return a member's probabilities for the test set, N×classes."""
    trained = train_profile(PROFILE, raw, seed, view=VIEWS[name])
    return softmax(reported(trained, f"{PROFILE}, pictures {name}").logits)


if __name__ == "__main__":
    measure_ensemble(obtain("mnist"))
