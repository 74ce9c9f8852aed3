"""Re-framing a batch against framing one by one."""

import numpy as np
import pytest

from mnistlib.data.sklearn_digits import load_digits
from mnistlib.evaluation.corruptions import corrupt
from mnistlib.imaging.batch_framing import reframe
from mnistlib.imaging.framing import frame


@pytest.fixture(scope="module")
def digits():
    _, _, images, _ = load_digits()
    return images[:60]


@pytest.mark.parametrize("name", ["scale", "translate", "impulse_noise", "zigzag", "canny_edges"])
def test_reframing_a_batch_is_framing_one_by_one(digits, name):
    images = corrupt(digits, name, 0)
    assert np.array_equal(reframe(images), np.stack([frame(image) for image in images]))


def test_reframing_takes_ink_of_any_size_and_place():
    noise = np.random.default_rng(0)
    images = np.zeros((100, 28, 28), np.uint8)
    for image in images[1:]:
        top, left = noise.integers(0, 28, 2)
        high, wide = noise.integers(1, 29, 2)
        part = image[top : top + high, left : left + wide]
        part[:] = noise.integers(0, 256, part.shape) * (noise.random(part.shape) < 0.3)
    assert np.array_equal(reframe(images), np.stack([frame(image) for image in images]))
    assert not reframe(images)[0].any()
