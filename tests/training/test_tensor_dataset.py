"""Examples gathered from where they lie, in memory or in a file."""

import numpy as np
import pytest
import torch

from mnistlib.data.augmentation import Distortion
from mnistlib.data.loading import obtain
from mnistlib.training.loop import Recipe, fit
from mnistlib.training.model import Architecture, build
from mnistlib.training.tensor_dataset import TensorDataset, same_memory

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    raw = obtain("digits")
    return raw.train_images[:300], raw.train_labels[:300]


def test_a_batch_is_what_numpy_takes_from_the_concatenated_arrays(digits):
    images, labels = digits
    parts = [(images[:50], labels[:50]), (images[50:51], labels[50:51]), (images[51:51], labels[51:51])]
    split = TensorDataset.of(CPU, *parts, (images[51:], np.full(249, -1)))
    chosen = np.random.default_rng(0).permutation(300)[:70]
    taken, theirs = split.batch(torch.from_numpy(chosen))
    assert np.allclose(taken[:, 0].numpy() * 255, images[chosen], atol=1e-4)
    assert np.array_equal(theirs.numpy(), np.where(chosen < 51, labels[chosen].astype(int), -1))
    assert len(split) == 300
    assert taken.shape == (70, 1, 28, 28)
    assert theirs.dtype == torch.int64


def test_a_memory_map_is_not_copied(tmp_path, digits, recwarn):
    np.save(tmp_path / "a.npy", digits[0])
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert same_memory(mapped).data_ptr() == mapped.ctypes.data
    assert TensorDataset.of(CPU, (mapped, digits[1])).images[0].data_ptr() == mapped.ctypes.data
    assert not recwarn.list


def test_training_from_a_file_and_in_pieces_gives_the_same_bits(tmp_path, digits):
    images, labels = digits
    np.save(tmp_path / "a.npy", images[:200])
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    val = TensorDataset.of(CPU, digits)
    recipe = Recipe(epochs=2, batch_size=20, distortion=Distortion(5))
    splits = TensorDataset.of(CPU, digits), TensorDataset.of(CPU, (mapped, labels[:200]), (images[200:], labels[200:]))
    one, other = (fit(build(Architecture((4, 8, 16), 16), 0), split, val, recipe, seed=0)[0] for split in splits)
    assert torch.equal(one.head[1].weight, other.head[1].weight)
