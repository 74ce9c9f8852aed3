"""The common PyTorch tutorial recipe, as the baseline.

Two convolutions, Adadelta, batches of 64; a DataLoader decodes, converts and normalizes each picture on its own. The
original trains 14 epochs. It is measured epoch by epoch within a time budget; accuracy is never extrapolated.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from mnistlib.data.datasets import Raw
from mnistlib.data.download import declare_missing_operators

EPOCHS = 14
GOAL = 0.99


class Pictures(Dataset):
    """Pictures and labels one by one, as torchvision's MNIST returns them."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        declare_missing_operators()
        from torchvision import transforms

        self.images, self.labels = images, labels
        self.convert = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.convert(Image.fromarray(self.images[index])), int(self.labels[index])


class TwoConvolutions(nn.Module):
    """3×3 convolutions with 32 and 64 channels, one pooling, 1.2 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
            nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
        )  # fmt: skip

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities, N×10."""
        return F.log_softmax(self.layers(images), dim=1)


def measure_tutorial(raw: Raw, budget_seconds: float) -> dict[str, Any]:
    """Return seconds and test accuracy after each epoch: at least one, until the next would exceed the budget."""
    torch.manual_seed(0)
    network = TwoConvolutions()
    optimizer = torch.optim.Adadelta(network.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    train = DataLoader(Pictures(raw.train_images, raw.train_labels), batch_size=64, shuffle=True)
    test = DataLoader(Pictures(raw.test_images, raw.test_labels), batch_size=1000)
    epochs: list[dict[str, float]] = []
    spent = 0.0
    while len(epochs) < EPOCHS and (not epochs or spent + epochs[-1]["epoch_seconds"] < budget_seconds):
        began = time.perf_counter()
        train_epoch(network, optimizer, train)
        schedule.step()
        seconds = time.perf_counter() - began
        spent += seconds
        accuracy = score(network, test)
        epochs.append({"epoch_seconds": seconds, "seconds": spent, "test_accuracy": accuracy})
        print(f"the tutorial recipe, epoch {len(epochs)}: {accuracy:.2%} after {spent:.3g} s", flush=True)
    reached = next((e["seconds"] for e in epochs if e["test_accuracy"] >= GOAL), None)
    median = float(np.median([e["epoch_seconds"] for e in epochs]))
    return {
        "epochs": epochs,
        "epoch_seconds": median,
        "all_14_epochs_seconds_extrapolated": median * EPOCHS,
        "seconds_to_99": reached,
    }


def train_epoch(network: nn.Module, optimizer: torch.optim.Optimizer, batches: DataLoader) -> None:
    network.train()
    for images, labels in batches:
        optimizer.zero_grad()
        F.nll_loss(network(images), labels).backward()
        optimizer.step()


@torch.no_grad()
def score(network: nn.Module, batches: DataLoader) -> float:
    network.eval()
    right = sum(int((network(images).argmax(1) == labels).sum()) for images, labels in batches)
    return right / len(batches.dataset)
