"""Split, statistics and the arrays on disk."""

from dataclasses import replace

import numpy as np
import pytest

from mnistlib.core.errors import RunError
from mnistlib.data.loading import obtain
from mnistlib.data.preprocess import (
    array_path,
    data_line,
    load_split,
    load_statistics,
    one_hot,
    save_splits,
    split,
    statistics,
)
from mnistlib.runs import layout
from mnistlib.runs.layout import Run


@pytest.fixture(scope="module")
def raw():
    return obtain("digits")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    return Run("r")


def keys(images):
    return {image.tobytes() for image in images}


def test_split_is_a_partition_of_the_training_part(raw):
    parts = split(raw, 0.1, seed=3)
    assert (len(parts["val"].labels), len(parts["train"].labels)) == (144, 1293)
    assert keys(parts["val"].images) | keys(parts["train"].images) == keys(raw.train_images)
    assert parts["test"].images is raw.test_images


def test_split_is_stratified_and_depends_on_the_seed_alone(raw):
    first, again, other = (split(raw, 0.2, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first["val"].images, again["val"].images)
    assert not np.array_equal(first["val"].images, other["val"].images)
    share = np.bincount(raw.train_labels) * 0.2
    assert np.abs(np.bincount(first["val"].labels) - share).max() <= 1


def test_train_limit_keeps_the_classes_balanced(raw):
    labels = split(raw, 0.1, seed=0, train_limit=200)["train"].labels
    assert len(labels) == 200
    assert np.bincount(labels).min() >= 18


def test_statistics_are_numpys_and_of_the_training_part_alone(raw):
    train = split(raw, 0.1, seed=0)["train"]
    found = statistics(train)
    pixels = train.images.astype(np.float64) / 255
    assert found["mean"] == pytest.approx(pixels.mean())
    assert found["std"] == pytest.approx(pixels.std())


def test_arrays_come_back_memory_mapped(raw, run):
    parts = split(raw, 0.1, seed=0)
    save_splits(run, parts, raw)
    back = load_split(run, "val")
    assert isinstance(back.images, np.memmap)
    assert back.images.dtype == np.uint8
    assert np.array_equal(back.images, parts["val"].images)
    assert load_statistics(run)["train_count"] == 1293


def test_a_damaged_array_is_named_and_not_used(raw, run):
    save_splits(run, split(raw, 0.1, seed=0), raw)
    path = array_path(run, "train", "images")
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"train_images\.npy.*02_preprocess again"):
        load_split(run, "train")
    path.unlink()
    with pytest.raises(RunError, match="missing"):
        load_split(run, "train")


def test_one_hot_by_hand():
    assert one_hot(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize("fraction", [0.0, 1.0, 2.0, -1.0])
def test_a_validation_part_of_none_or_all_is_refused(fraction):
    with pytest.raises(RunError, match=f"val_fraction is {fraction}"):
        split(obtain("digits"), fraction, seed=0)


def test_each_picture_keeps_its_label_and_validation_is_never_learnt_from(raw):
    known = {image.tobytes(): label for image, label in zip(raw.train_images, raw.train_labels, strict=True)}
    for limit in (0, 200, 1400):
        parts = split(raw, 0.1, seed=0, train_limit=limit)
        assert not keys(parts["train"].images) & keys(parts["val"].images)
        for part in (parts["train"], parts["val"]):
            assert [known[image.tobytes()] for image in part.images] == list(part.labels)


@pytest.mark.parametrize("fallback", [False, True])
def test_what_is_kept_is_of_the_training_part_and_says_what_stands_in(raw, run, fallback):
    parts = split(raw, 0.1, seed=0)
    save_splits(run, parts, replace(raw, fallback=fallback))
    known, pixels = load_statistics(run), parts["train"].images / 255
    assert (known["mean"], known["std"]) == pytest.approx((pixels.mean(), pixels.std()))
    assert known["fallback"] == fallback
    assert ("FALLBACK DATA" in data_line(run)) == fallback


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_both_files_of_a_part_are_held_against_their_hashes(raw, run, kind):
    save_splits(run, split(raw, 0.1, seed=0), raw)
    path = array_path(run, "test", kind)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=rf"test_{kind}\.npy is not what 02_preprocess wrote"):
        load_split(run, "test")
