"""Paper and ink told apart: the running extremes against SciPy's."""

import numpy as np
import pytest
from scipy import ndimage

from mnistlib.paper import closing, opening, slide


@pytest.fixture(params=[(40, 40), (33, 90), (7, 5)])
def grey(request) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, request.param, np.uint8)


@pytest.mark.parametrize("reach", [1, 2, 3, 6])
@pytest.mark.parametrize(
    ("extreme", "oracle"), [(np.maximum, ndimage.maximum_filter), (np.minimum, ndimage.minimum_filter)]
)
def test_extremes_of_squares_are_those_of_scipy(grey, reach, extreme, oracle):
    inside = (slice(reach, -reach), slice(reach, -reach))
    assert np.array_equal(slide(extreme, grey, reach), oracle(grey, 2 * reach + 1)[inside])


@pytest.mark.parametrize(("ours", "oracle"), [(closing, ndimage.grey_closing), (opening, ndimage.grey_opening)])
def test_closing_and_opening_are_those_of_scipy_on_a_picture_without_end(grey, ours, oracle):
    reach = max(1, round(min(grey.shape) * 0.15))
    wide = oracle(np.pad(grey, 3 * reach, mode="edge"), 2 * reach + 1)
    assert np.array_equal(ours(grey), wide[3 * reach : -3 * reach, 3 * reach : -3 * reach])
