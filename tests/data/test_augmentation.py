"""Distortions against SciPy and against what they promise."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from mnistlib.data.augmentation import Distortion, affine_grid, distort, random_maps


def blob() -> torch.Tensor:
    y, x = np.mgrid[:28, :28]
    picture = np.exp(-((x - 16) ** 2 / 18 + (y - 12) ** 2 / 40)).astype(np.float32)
    return torch.from_numpy(picture)[None, None]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_no_distortion_returns_the_same_pictures():
    images = blob()
    assert distort(images, Distortion(), generator()) is images


def test_agrees_with_scipy():
    images = blob().repeat(5, 1, 1, 1)
    d = Distortion(20, 0.2, 0.2, 0.1)
    found = distort(images, d, generator(3))[:, 0].numpy()
    maps = random_maps(5, d, generator(3), torch.device("cpu")).numpy().astype(float)
    flip = np.array([[0, 1], [1, 0]])
    for picture, m in zip(found, maps, strict=True):
        matrix, shift = flip @ m[:, :2] @ flip, flip @ m[:, 2] * 14
        expected = ndimage.affine_transform(
            blob()[0, 0].numpy(), matrix, offset=13.5 + shift - matrix @ [13.5, 13.5], order=1, mode="grid-constant"
        )
        assert np.abs(picture - expected).max() < 1e-4


def test_each_limit_holds_and_is_used():
    maps = random_maps(4000, Distortion(rotate=30), generator(), torch.device("cpu")).numpy()
    angles = np.degrees(np.arctan2(maps[:, 1, 0], maps[:, 0, 0]))
    assert np.abs(angles).max() <= 30.001
    assert np.abs(angles).max() > 29
    assert abs(angles.mean()) < 1
    shifts = random_maps(4000, Distortion(shift=0.1), generator(), torch.device("cpu"))[:, :, 2]
    assert float(shifts.abs().max()) == pytest.approx(0.1, abs=0.001)
    sizes = random_maps(4000, Distortion(scale=0.2), generator(), torch.device("cpu"))[:, 0, 0]
    assert (float(sizes.min()), float(sizes.max())) == pytest.approx((0.8, 1.2), abs=0.002)


def test_the_undistorted_share_stays_as_it_is():
    d = Distortion(10, 0.1, 0.1, 0.1, undistorted=0.25)
    maps = random_maps(4000, d, generator(), torch.device("cpu"))
    spared = (maps == torch.eye(2, 3)).all(dim=(1, 2))
    assert float(spared.float().mean()) == pytest.approx(0.25, abs=0.02)
    images = blob().repeat(4000, 1, 1, 1)
    changes = (distort(images, d, generator()) - images).abs().amax((1, 2, 3))
    assert float(changes[spared].max()) < 1e-5
    assert float(changes[~spared].min()) > 1e-3


def test_every_picture_is_bent_anew_and_the_seed_decides():
    images = blob().repeat(2, 1, 1, 1)
    d = Distortion(10, 0.1, 0.1, 0.1)
    first, again = distort(images, d, generator(1)), distort(images, d, generator(1))
    assert torch.equal(first, again)
    assert not torch.equal(first[0], first[1])


def test_the_grid_is_torchs_own():
    maps = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.affine_grid(maps, [5, 1, 28, 20], align_corners=False)
    assert torch.allclose(affine_grid(maps, 28, 20), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["rotate", "shear", "scale", "shift"])
def test_each_of_the_four_bends_by_itself(name):
    assert not torch.equal(distort(blob(), Distortion(**{name: 0.5}), generator()), blob())


def test_a_share_lies_on_backgrounds_that_leave_the_ink_brighter():
    images = blob().repeat(800, 1, 1, 1)
    laid = distort(images, Distortion(background=0.25), generator())
    assert torch.equal(laid[200:], images[200:])
    assert torch.equal(images, blob().repeat(800, 1, 1, 1))
    ground, ink = laid[:200, 0, [0, 0, -1, -1], [0, -1, 0, -1]], laid[:200, 0, 12, 16]
    assert float(laid.min()) >= 0
    assert float(laid.max()) <= 1
    assert 0.6 < float(ground.max()) <= 0.75
    is_even = torch.isclose(ground, ground[:, :1], atol=1e-3).all(1)
    assert float(is_even.float().mean()) == pytest.approx(0.4, abs=0.1)
    # On even ground g, the blob's middle is g + c up to 1, with a contrast c of 0.25 to 1.
    contrast = (ink - ground[:, 0])[is_even & (ink < 1)]
    assert float(contrast.min()) >= 0.24
    assert float((ink - ground[:, 0])[is_even].max()) > 0.7


def test_clouds_are_straight_between_five_by_five_levels():
    black = torch.zeros(50, 1, 28, 28)
    laid = distort(black, Distortion(background=1), generator())[:, 0].numpy()
    for picture in laid:
        knots = ndimage.map_coordinates(picture, np.mgrid[:5, :5] * 27 / 4, order=1)
        expected = ndimage.map_coordinates(knots, np.mgrid[:28, :28] * 4 / 27, order=1)
        assert np.abs(picture - expected).max() < 0.2
    assert len(np.unique(laid[:, 3, 3])) == 50


def test_the_temperatures_copies_lie_on_black():
    assert Distortion(rotate=2, background=0.5).further(1.5) == Distortion(rotate=3)
