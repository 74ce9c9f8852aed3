"""The examples that are learnt from, gathered batch by batch from where they lie: memory, a file, a GPU."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mnistlib.core.errors import RunError

LEAST_STEPS = 20


@dataclass(frozen=True)
class TensorDataset:
    """One part of the data: `images` in pieces uint8 N×1×28×28, `labels` int64 of all, below 0 for no class.

    On the CPU a piece is the array's own memory, or its memory map, which is never copied whole: a dataset larger than
    the memory can be learnt from. Elsewhere it is one piece on the device.
    """

    images: tuple[Tensor, ...]
    labels: Tensor

    @staticmethod
    def of(device: torch.device, *parts: tuple[np.ndarray, np.ndarray]) -> TensorDataset:
        """From images uint8 N×28×28 with their labels, part after part."""
        images = tuple(same_memory(images)[:, None] for images, _ in parts)
        if device.type != "cpu":
            images = (torch.cat(images).to(device),)
        labels = np.concatenate([np.asarray(labels, np.int64) for _, labels in parts])
        return TensorDataset(images, torch.from_numpy(labels).to(device))

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Images float N×1×28×28 in 0…1 and labels at the places `chosen`, int64 N on the labels' device."""
        if len(self.images) == 1:
            pixels = self.images[0][chosen]
        else:
            pixels, start = self.images[0].new_empty(len(chosen), *self.images[0].shape[1:]), 0
            for piece in self.images:
                inside = (chosen >= start) & (chosen < start + len(piece))
                pixels[inside] = piece[chosen[inside] - start]
                start += len(piece)
        return pixels.float().div_(255), self.labels[chosen]


def same_memory(array: np.ndarray) -> Tensor:
    """The array as a tensor, read and never written; torch would warn that a memory map cannot be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(np.asarray(array))


def effective_batch_size(count: int, most: int) -> int:
    """The batch size for a training part of `count`: `most`, fewer where an epoch would have fewer than 20 steps.

    On a small dataset a few large steps would end the training before it has begun. Raises RunError for less than 2.
    """
    if count < 2:
        raise RunError(f"the training part is of {count} picture: at least 2; raise preprocess.train_limit")
    if most < 2:
        raise RunError(f"train.batch_size is {most}: at least 2, for batch norm needs something to compare with")
    return max(2, min(most, count // LEAST_STEPS))


def digest_of(*tensors: Tensor) -> str:
    """SHA-256 of the tensors' shapes and values."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(repr(tuple(tensor.shape)).encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
    return digest.hexdigest()
