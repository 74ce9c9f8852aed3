"""Describe the datasets as published: files, checksums, classes, counts; and a dataset as it was obtained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # make reads only the classes, without the time of importing numpy
    import numpy as np

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
FALLBACK = (
    "FALLBACK DATA: the dataset could not be found or fetched. This is scikit-learn's digits: "
    "1,797 small pictures. Its results say nothing about the requested dataset. "
    "Name the folder with the four files in data.local_dir (MNIST_DIR for MNIST), or go online, and run again."
)


@dataclass(frozen=True)
class Dataset:
    """One MNIST-shaped dataset.

    `md5`: of the four published .gz files; `sha256`: of the four unpacked files, where published; `train_counts`,
    `test_counts`: pictures per class, where published; `mean`, `std`: the expected range of the training set's mean and
    standard deviation, pixels in 0…1.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    md5: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    torchvision: str = ""
    train_counts: tuple[int, ...] = ()
    test_counts: tuple[int, ...] = ()
    mean: tuple[float, float] = (0.0, 1.0)
    std: tuple[float, float] = (0.0, 1.0)


DIGITS = tuple("0123456789")
DATASETS = {
    "mnist": Dataset(
        "mnist",
        "MNIST",
        DIGITS,
        md5=(
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        sha256=(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        torchvision="MNIST",
        train_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        mean=(0.1302, 0.1312),
        std=(0.3076, 0.3086),
    ),
    "fashion_mnist": Dataset(
        "fashion_mnist",
        "Fashion-MNIST",
        ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        md5=(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        torchvision="FashionMNIST",
        train_counts=(6000,) * 10,
        test_counts=(1000,) * 10,
        mean=(0.2855, 0.2865),
        std=(0.3525, 0.3535),
    ),
    "kmnist": Dataset(
        "kmnist",
        "Kuzushiji-MNIST",
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        md5=(
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
        torchvision="KMNIST",
        train_counts=(6000,) * 10,
        test_counts=(1000,) * 10,
        mean=(0.1913, 0.1923),
        std=(0.3478, 0.3488),
    ),
    "digits": Dataset("digits", "scikit-learn's digits", DIGITS, mean=(0.05, 0.25), std=(0.15, 0.40)),
}


@dataclass(frozen=True)
class Raw:
    """A dataset as it was obtained: images uint8 N×28×28 and labels N of training set and test set.

    `source`: raw, local, download or digits; `fallback`: whether it stands in for the requested dataset.
    """

    dataset: str
    source: str
    fallback: bool
    folder: str
    files: list[dict[str, Any]]
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    @property
    def title(self) -> str:
        return DATASETS[self.dataset].title

    @property
    def classes(self) -> tuple[str, ...]:
        return DATASETS[self.dataset].classes


def are_digits(classes: Sequence[str]) -> bool:
    """Return whether the classes are the ten digits, in their order."""
    return tuple(classes) == DIGITS


def shows_digits(dataset: str) -> bool:
    """Return whether the dataset is known and its classes are the ten digits."""
    return dataset in DATASETS and are_digits(DATASETS[dataset].classes)
