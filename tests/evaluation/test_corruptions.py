"""Corruptions against SciPy, and against moments and counts that can be worked out by hand."""

import gzip
import itertools

import numpy as np
import pytest
from scipy import ndimage

from mnistlib.evaluation.corruptions import CORRUPTIONS, corrupt, swap_neighbours

FIFTEEN = [
    "shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "scale", "rotate", "brightness", "translate",
    "stripe", "fog", "spatter", "dotted_line", "zigzag", "canny_edges",
]  # fmt: skip
FIXED = {"scale", "brightness", "stripe", "canny_edges"}


def pictures(count: int = 40) -> np.ndarray:
    """Blobs of ink off the centre, uint8, black at the border."""
    noise = np.random.default_rng(0)
    y, x = np.mgrid[:28, :28]
    rows, columns = noise.uniform(10, 17, (2, count, 1, 1))
    ink = 300 * np.exp(-((x - columns) ** 2) / 20 - (y - rows) ** 2 / 9)
    return np.where(ink > 12, ink, 0).clip(0, 255).astype(np.uint8)


def corrupted(name: str, images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Before it is rounded."""
    return CORRUPTIONS[name](images, np.random.default_rng(seed))


def flat(value: float, count: int = 50) -> np.ndarray:
    return np.full((count, 28, 28), value, np.float32)


def lit(row: int, column: int, count: int = 1) -> np.ndarray:
    """One white pixel on black."""
    images = flat(0, count)
    images[:, row, column] = 1
    return images


def test_there_are_just_these_fifteen():
    assert list(CORRUPTIONS) == FIFTEEN


@pytest.mark.parametrize("name", FIFTEEN)
def test_it_keeps_to_its_range_and_leaves_what_it_was_given(name):
    images = pictures().astype(np.float32) / 255
    kept = images.copy()
    found = corrupted(name, images)
    assert (found.dtype, found.shape) == (np.float32, images.shape)
    assert 0 <= found.min() < found.max() <= 1
    assert np.array_equal(images, kept)
    assert not np.array_equal(found, images)
    assert corrupted(name, images[:0]).shape == (0, 28, 28)


@pytest.mark.parametrize("name", FIFTEEN)
def test_the_seed_decides_and_chance_where_there_is_any(name):
    images = pictures()
    first = corrupt(images, name, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, corrupt(images, name, 3))
    assert np.array_equal(first, corrupt(images, name, 4)) == (name in FIXED)
    alike = np.repeat(images[:1], 40, axis=0)
    assert (len(np.unique(corrupt(alike, name, 0), axis=0)) == 1) == (name in FIXED)


def test_a_wrong_name_or_other_pictures_are_refused():
    with pytest.raises(ValueError, match="did you mean fog"):
        corrupt(pictures(), "fogg", 0)
    with pytest.raises(ValueError, match="float32"):
        corrupt(pictures().astype(np.float32), "fog", 0)


def test_shot_noise_has_poissons_moments():
    found = 3 * corrupted("shot_noise", flat(0.2)).astype(float)
    assert np.allclose(found, np.rint(found), atol=1e-6)
    # From 0.2: λ 0.6, of which at most 3 quanta are seen; P(0…2) = 0.5488, 0.3293, 0.0988.
    shares = np.bincount(np.rint(found).astype(int).ravel()) / found.size
    assert shares == pytest.approx([0.5488, 0.3293, 0.0988, 0.0231], abs=0.008)
    assert not corrupted("shot_noise", flat(0)).any()


def test_impulse_noise_loses_17_of_100_pixels_half_to_white():
    found = corrupted("impulse_noise", flat(0.5))
    assert set(np.unique(found)) == {0, 0.5, 1}
    assert (found == 0).mean() == pytest.approx(0.085, abs=0.005)
    assert (found == 1).mean() == pytest.approx(0.085, abs=0.005)


class Kept:
    """Random numbers that are kept, so that a test can use them again."""

    def __init__(self):
        self.noise, self.drawn = np.random.default_rng(0), []

    def integers(self, *args, **kwargs) -> np.ndarray:
        self.drawn.append(self.noise.integers(*args, **kwargs).astype(int))
        return self.drawn[-1]


def glass_of_one(image: np.ndarray, passes: list[np.ndarray]) -> np.ndarray:
    """MNIST-C's glass blur of one picture, swap by swap; its Gaussian blurs the columns alone."""
    pixels = np.floor(255 * ndimage.gaussian_filter(image, (0.7, 0), mode="nearest"))
    for draws in passes:
        for (row, column), draw in zip(itertools.product(range(27, 1, -1), repeat=2), draws, strict=True):
            here, there = (row, column), (row - draw // 2, column - draw % 2) if draw < 4 else (row, column)
            pixels[here], pixels[there] = pixels[there], pixels[here]
    return ndimage.gaussian_filter(pixels / 255, (0.7, 0), mode="nearest")


def test_glass_blur_is_mnist_cs_on_the_same_draws():
    images, noise = pictures(6).astype(np.float32) / 255, Kept()
    images[:, 0] = images[:, :, 5] = 0.8
    found = CORRUPTIONS["glass_blur"](images, noise)
    expected = [glass_of_one(image, [draws[:, i] for draws in noise.drawn]) for i, image in enumerate(images)]
    assert found == pytest.approx(np.array(expected), abs=1e-4)
    assert not np.array_equal(found[0], corrupted("glass_blur", images, 1)[0])


def test_glass_blur_spreads_a_point_further_down_than_aside():
    found = corrupted("glass_blur", lit(14, 14, 3000)).astype(float)
    total = found.mean(0) / found.sum((1, 2)).mean()
    spread = []
    for profile in (total.sum(1), total.sum(0)):
        middle = profile @ np.arange(28)
        assert middle == pytest.approx(14, abs=0.1)
        spread.append(profile @ (np.arange(28) - middle) ** 2)
    # Both are swapped alike; the two blurs add their variance, twice 0.7², to the columns alone.
    assert spread[1] > 0.5
    assert spread[0] - spread[1] == pytest.approx(2 * 0.7**2, abs=0.1)


def test_neighbours_are_swapped_and_nothing_is_lost():
    count = 4000
    start = np.tile(np.arange(784)[:, None], (1, count))
    pixels = start.copy()
    swap_neighbours(pixels, np.random.default_rng(0))
    assert np.array_equal(np.sort(pixels, axis=0), start)
    grid, was = pixels.reshape(28, 28, count), start.reshape(28, 28, count)
    assert np.array_equal(grid[0], was[0])
    assert np.array_equal(grid[:, 0], was[:, 0])
    assert not np.array_equal(grid[1, 1], was[1, 1])
    # The first to change places is the last pixel; what comes to it has one of four places, 5 times in 8 its own.
    places, counts = np.unique(grid[27, 27], return_counts=True)
    assert list(places) == [26 * 28 + 26, 26 * 28 + 27, 27 * 28 + 26, 27 * 28 + 27]
    assert counts / count == pytest.approx([1 / 8, 1 / 8, 1 / 8, 5 / 8], abs=0.025)


def test_motion_blur_smears_a_point_along_a_half_gaussian():
    found = corrupted("motion_blur", lit(14, 22, 300)).astype(float)
    weights = np.exp(-(np.arange(21) ** 2) / 18)
    weights /= weights.sum()
    assert found[:, 14, 22] == pytest.approx(weights[0], abs=1e-5)
    assert found.sum((1, 2)) == pytest.approx(1, abs=0.002)
    assert not found[:, :, 23:].any()
    level = found[(found[:, 14] > 0).sum(1) == 21]
    assert len(level) > 0
    assert np.allclose(level[:, 14, 22:1:-1], weights, atol=1e-5)
    ink = np.mgrid[:28, :28][:, None] * found
    slopes = (ink[0].sum((1, 2)) - 14) / (22 - ink[1].sum((1, 2)))
    assert (slopes.min(), slopes.max()) == pytest.approx((-1, 1), abs=0.08)


@pytest.mark.parametrize(
    ("name", "matrices"),
    [
        ("scale", [np.eye(2) / 0.7]),
        ("rotate", [[[np.cos(0.4), -s * np.sin(0.4)], [s * np.sin(0.4), np.cos(0.4)]] for s in (1, -1)]),
        ("shear", [[[np.cos(0.4), 0], [s * np.sin(0.4), 1]] for s in (1, -1)]),
    ],
)
def test_affine_ones_are_scipys_and_go_either_way(name, matrices):
    images = np.random.default_rng(1).random((30, 28, 28), dtype=np.float32)
    found = corrupted(name, images)
    sides = []
    for picture, image in zip(found, images, strict=True):
        expected = [
            ndimage.affine_transform(image, m, 13.5 - np.array(m) @ [13.5, 13.5], order=1, mode="grid-constant")
            for m in matrices
        ]
        away = [np.abs(picture - e).max() for e in expected]
        assert min(away) < 1e-4
        sides.append(int(np.argmin(away)))
    assert set(sides) == set(range(len(matrices)))


def test_translate_is_a_shift_by_three_on_each_axis():
    images = np.random.default_rng(1).integers(1, 256, (40, 28, 28), dtype=np.uint8)
    found, seen = corrupt(images, "translate", 0), set()
    for picture, image in zip(found, images, strict=True):
        for down, right in [(3, 3), (3, -3), (-3, 3), (-3, -3)]:
            wide = np.pad(image, 3)
            if np.array_equal(np.roll(wide, (down, right), (0, 1))[3:-3, 3:-3], picture):
                seen.add((down, right))
                break
        else:
            pytest.fail("a picture is no shift by three")
    assert len(seen) == 4


def test_brightness_and_stripe_by_hand():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 10, [5, 14]] = 200
    bright = corrupt(image, "brightness", 0)[0]
    assert (bright[0, 0], bright[10, 14]) == (128, 255)
    striped = corrupt(image, "stripe", 0)[0]
    assert (striped == 255).sum() == 14 * 28 - 1
    assert (striped[10, 5], striped[10, 14], striped[0, 6], striped[0, 7]) == (55, 200, 255, 0)
    assert (striped[0, 20], striped[0, 21], striped[27, 27]) == (0, 255, 255)


def test_all_fifteen_leave_real_digits_of_their_kind(mnist_dir):
    content = gzip.decompress((mnist_dir / "t10k-images-idx3-ubyte.gz").read_bytes())
    images = np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28)[:1000]
    means = {name: corrupt(images, name, 0).mean() / images.mean() for name in FIFTEEN}
    assert means["shear"] == pytest.approx(1 / np.cos(0.4), abs=0.02)
    assert means["scale"] == pytest.approx(0.49, abs=0.01)
    assert means["rotate"] == pytest.approx(1, abs=0.01)
    assert means["motion_blur"] == pytest.approx(1, abs=0.02)
