"""Deslanting, for half of an ensemble's members, against moments and shears by SciPy."""

import numpy as np
import pytest
from scipy import ndimage

from bench.accuracy.ensemble import deslant


def lean_of(image):
    """Pixels sideways for one down, from the ink's covariance."""
    y, x = np.nonzero(image)
    covariance = np.cov(y, x, aweights=image[y, x], ddof=0)
    return covariance[0, 1] / covariance[0, 0]


@pytest.fixture
def stroke():
    image = np.zeros((28, 28), np.uint8)
    image[5:24, 12:17] = 200
    return image


@pytest.mark.parametrize("lean", [-0.6, -0.2, 0.3, 0.7])
def test_what_leans_stands_upright_where_it_stood(stroke, lean):
    middle = ndimage.center_of_mass(stroke)[0]
    leaning = ndimage.affine_transform(stroke, [[1, 0], [-lean, 1]], offset=[0, lean * middle], order=1)
    assert lean_of(leaning) == pytest.approx(lean, abs=0.02)
    (stood,) = deslant(leaning[None])
    assert lean_of(stood) == pytest.approx(0, abs=0.01)
    assert ndimage.center_of_mass(stood) == pytest.approx(ndimage.center_of_mass(leaning), abs=0.05)
    assert np.abs(stood.astype(int) - stroke).mean() < 4  # of 255: only edges were blurred


def test_what_stands_upright_and_what_is_blank_stay_as_they_are(stroke):
    both = np.stack([stroke, np.zeros_like(stroke)])
    assert (deslant(both) == both).all()


def test_each_picture_is_taken_by_itself(stroke):
    leaning = ndimage.affine_transform(stroke, [[1, 0], [0.4, 1]], offset=[0, -5.6], order=1)
    several = np.stack([stroke, leaning, stroke.T])
    assert (deslant(several) == np.concatenate([deslant(one[None]) for one in several])).all()
    assert deslant(several[:0]).shape == (0, 28, 28)
