"""The record of several networks: five of `best` as it is, five that see each digit set upright, none picked.

Networks that see the same pictures make the same mistakes; what leans, upright, is another picture of the same digit.
`python -m bench.ensemble` trains the ten, one after the other, and says what their mean answer is worth.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from bench.profiles import SEEDS, as_it_is, told, train_profile
from mnistlib.core.formatting import Table
from mnistlib.data.augmentation import affine_grid
from mnistlib.data.datasets import Raw
from mnistlib.data.loading import obtain
from mnistlib.evaluation.metrics import accuracy, softmax

PROFILE = "best"
AT_ONCE = 5000
STEEPEST = 1.2


def upright(images: np.ndarray) -> np.ndarray:
    """Pictures uint8 N×28×28 sheared sideways until their ink leans neither way, about its barycentre: uint8 N×28×28.

    By moments, as in LeCun et al. 1998: the ink's covariance of x and y becomes 0. At most `STEEPEST` pixels sideways
    for one up; without ink, nothing happens.
    """
    lots = (upright_batch(images[i : i + AT_ONCE]) for i in range(0, len(images), AT_ONCE))
    return np.concatenate([images[:0], *lots])


def upright_batch(images: np.ndarray) -> np.ndarray:
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


VIEWS = {"as they are": as_it_is, "upright": upright}


def measure_ensemble(raw: Raw) -> None:
    """Train the members, telling each one's test accuracy; then a row for either kind and for both.

    In a row: the mean of each member's accuracy, and the accuracy of their mean answer.
    """
    members = {name: np.stack([train_member(raw, name, seed) for seed in SEEDS]) for name in VIEWS}
    rows = []
    for name, answers in (members | {"both": np.concatenate(list(members.values()))}).items():
        each = float(np.mean([accuracy(one, raw.test_labels) for one in answers]))
        together = accuracy(answers.mean(0), raw.test_labels)
        rows.append({"pictures": name, "n": len(answers), "each": each, "together": together})
    print(f"\n{PROFILE}, test accuracy, each by itself and together:\n{Table(rows)}", flush=True)


def train_member(raw: Raw, name: str, seed: int) -> np.ndarray:
    """A member's probabilities for the test part, N×classes."""
    trained = train_profile(PROFILE, raw, seed, view=VIEWS[name])
    return softmax(told(trained, f"{PROFILE}, pictures {name}").logits)


if __name__ == "__main__":
    measure_ensemble(obtain("mnist"))
