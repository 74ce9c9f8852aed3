"""Every check can fail, and does when it should."""

from dataclasses import replace

import numpy as np
import pytest

from mnistlib.core.errors import RunError
from mnistlib.data.datasets import Raw
from mnistlib.data.loading import obtain
from mnistlib.data.validation import check_table, leakage_check, require_passed, validate


@pytest.fixture(scope="module")
def digits() -> Raw:
    return obtain("digits")


def failed(raw: Raw) -> set[str]:
    return {check.check for check in validate(raw) if not check.passed}


def changed(images: np.ndarray, index: int, value: np.ndarray | int) -> np.ndarray:
    images = images.copy()
    images[index] = value
    return images


def test_good_data_passes_every_check(digits):
    checks = validate(digits)
    assert failed(digits) == set()
    assert len(checks) == 15
    assert "15 checks passed" in require_passed(checks)


def test_mnist_passes_every_check(mnist_dir):
    assert failed(obtain("mnist", source="local", local_dir=str(mnist_dir))) == set()


def test_each_fault_is_found_by_its_check(digits):
    images, labels = digits.train_images, digits.train_labels
    cases = {
        "dtype of images, labels": replace(digits, train_images=images.astype(np.float32)),
        "shape": replace(digits, train_labels=labels[:-1]),
        "label range": replace(digits, train_labels=np.where(labels == 9, 10, labels).astype(np.uint8)),
        "pictures per class": replace(digits, train_labels=np.where(labels == 3, 4, labels).astype(np.uint8)),
        "blank or constant pictures": replace(digits, train_images=changed(images, 5, 0)),
        "duplicate pictures": replace(digits, train_images=changed(images, slice(0, 9), images[20])),
        "mean of pixels": replace(digits, train_images=np.minimum(images // 8, 255).astype(np.uint8)),
        "standard deviation": replace(digits, train_images=np.minimum(images // 8, 255).astype(np.uint8)),
        "test pictures also in train": replace(digits, test_images=changed(digits.test_images, 0, images[0])),
    }
    for check, raw in cases.items():
        assert check in failed(raw), check


@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_picture_of_one_grey_is_found_whichever_it_is(digits, level):
    assert "blank or constant pictures" in failed(replace(digits, train_images=changed(digits.train_images, 5, level)))


def test_a_failed_check_stops_the_run_and_the_table_shows_it(digits):
    checks = validate(replace(digits, train_images=changed(digits.train_images, 5, 0)))
    assert "✗ FAILED" in check_table(checks)._repr_html_()
    with pytest.raises(RunError, match="blank or constant pictures: expected 0, found 1"):
        require_passed(checks)


def test_one_test_picture_in_a_thousand_may_leak_and_no_more(digits):
    raw = replace(digits, test_images=np.random.default_rng(0).integers(0, 256, (1000, 28, 28), dtype=np.uint8))
    for leaked, passed in ((1, True), (2, False)):
        raw.test_images[:leaked] = digits.train_images[:leaked]
        assert leakage_check(raw).passed == passed
        assert leakage_check(raw).found.startswith(f"{leaked} ")
