"""A dataset as tensors, gathered batch by batch from memory, a memory map or a GPU."""

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
    """One split of the data.

    On the CPU, images are the arrays' own memory or memory maps: a dataset may be larger than the memory. On another
    device they are one copy there.

    Attributes:
        images: pieces uint8 N×1×28×28.
        labels: int64 of all pieces; below 0 for an outlier, which has no class.
    """

    images: tuple[Tensor, ...]
    labels: Tensor

    @staticmethod
    def of(device: torch.device, *pairs: tuple[np.ndarray, np.ndarray]) -> TensorDataset:
        """Concatenate arrays into a dataset on a device.

        Args:
            device: where the labels, and on a GPU the images, are to lie.
            pairs: images uint8 N×28×28 with labels N each.
        """
        images = tuple(same_memory(images)[:, None] for images, _ in pairs)
        if device.type != "cpu":
            images = (torch.cat(images).to(device),)
        labels = np.concatenate([np.asarray(labels, np.int64) for _, labels in pairs])
        return TensorDataset(images, torch.from_numpy(labels).to(device))

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return images float32 N×1×28×28 in 0…1 and labels int64 N at the indices `chosen`, int64 N."""
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
    """Return the array as a tensor that shares its memory; torch would warn that a memory map is read-only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(np.asarray(array))


def effective_batch_size(count: int, most: int) -> int:
    """Return the batch size: `most`, or less where an epoch would have fewer than 20 steps.

    With few large steps, a small dataset's training would end before it converges.

    Args:
        count: images in the training set.
        most: the batch size asked for.

    Raises:
        RunError: when either is below 2.
    """
    if count < 2:
        raise RunError(f"the training set has {count} picture: at least 2; raise preprocess.train_limit")
    if most < 2:
        raise RunError(f"train.batch_size is {most}: at least 2, because batch norm compares images")
    return max(2, min(most, count // LEAST_STEPS))


def digest_of(*tensors: Tensor) -> str:
    """Return the SHA-256 of the tensors' shapes and values, in hex."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(repr(tuple(tensor.shape)).encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
    return digest.hexdigest()
