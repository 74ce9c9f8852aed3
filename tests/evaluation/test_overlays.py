"""Fog, spatter and lines against drawings made pixel by pixel and sums done by hand."""

import itertools

import numpy as np
import pytest

from mnistlib.evaluation import overlays


def drawn_by(corruption, images: np.ndarray, seed: int = 0) -> np.ndarray:
    return np.clip(corruption(images, np.random.default_rng(seed)), 0, 1)


def flat(value: float, count: int = 50) -> np.ndarray:
    return np.full((count, 28, 28), value, np.float32)


def test_plasma_fills_its_range_and_grows_rougher_with_distance_by_a_power():
    maps = overlays.plasma(60, np.random.default_rng(0)).astype(float)
    assert (maps.min((1, 2)) == 0).all()
    assert (maps.max((1, 2)) == 1).all()
    # Wobbles fall to 1/1.96 from level to level: differences at twice the distance are up to 1.96 times as large.
    rough = [np.abs(maps - np.roll(maps, step, 2)).mean() for step in (2, 4, 8, 16)]
    assert all(1.7 < far / near < 1.96 for near, far in itertools.pairwise(rough))


def test_plasmas_points_stray_from_the_mean_of_their_four_neighbours_by_as_much_at_every_kind():
    maps = overlays.plasma(3, np.random.default_rng(0)).astype(float)
    diagonal, upright = [(1, 1), (1, -1), (-1, 1), (-1, -1)], [(0, 1), (1, 0), (0, -1), (-1, 0)]
    strays = []
    for half in (2, 1):
        means = [
            sum(np.roll(maps, (half * down, half * right), (1, 2)) for down, right in around) / 4
            for around in (diagonal, upright)
        ]
        every = 2 * half
        middles = np.abs(maps - means[0])[:, half::every, half::every]
        sides = [np.abs(maps - means[1])[:, half::every, ::every], np.abs(maps - means[1])[:, ::every, half::every]]
        strays.append([kind.max((1, 2)) for kind in (middles, *sides)])
    far, near = np.array(strays)
    assert near[1:] == pytest.approx(near[[0, 0]], rel=0.01)
    assert far[1:] == pytest.approx(far[[0, 0]], rel=0.01)
    assert far == pytest.approx(1.96 * near, rel=0.01)


def test_fog_by_hand(monkeypatch):
    clouds = np.broadcast_to(np.float32(0.5), (overlays.MAPS, 256, 256))
    monkeypatch.setattr(overlays, "plasma", lambda count, noise: clouds)
    image = flat(0, 2)
    image[:, 4, 5] = 0.6
    # (0 + 3 · 0.5) · 0.6 / 3.6 beside the ink, (0.6 + 1.5) · 0.6 / 3.6 on it.
    found = drawn_by(overlays.fog, image)
    assert found[:, 0, 0] == pytest.approx(0.25)
    assert found[:, 4, 5] == pytest.approx(0.35)


def test_fog_is_a_corner_of_its_maps_mirrored_or_inverted(monkeypatch):
    maps = np.random.default_rng(2).random((overlays.MAPS, 256, 256)).astype(np.float32)
    monkeypatch.setattr(overlays, "plasma", lambda count, noise: maps)
    image = flat(0, 30)
    image[:, 0, 0] = 1
    found = drawn_by(overlays.fog, image) * 4 / 3
    whole = np.roll(maps, (27, 27), (1, 2))
    corners = [whole[:, 27 : 27 + 28, 27 : 27 + 28], whole[:, 27 : 27 + 28, 27::-1]]
    corners += [whole[:, 27::-1, 27 : 27 + 28], whole[:, 27::-1, 27::-1]]
    guises = np.concatenate([*corners, *(1 - corner for corner in corners)])[:, 1:]
    used = {int(np.abs(guises - picture[1:]).max((1, 2)).argmin()) // overlays.MAPS for picture in found}
    nearest = [np.abs(guises - picture[1:]).max((1, 2)).min() for picture in found]
    assert max(nearest) < 1e-5
    assert len(used) == 8


def test_spatter_hides_what_it_covers_and_leaves_the_rest():
    mask = 1 - drawn_by(overlays.spatter, flat(1)).astype(float)
    grey = drawn_by(overlays.spatter, flat(0)).astype(float)
    # White under a drop m becomes 1 − m + 63/255 m, black 63/255 m, and a drop's m is at least 0.8.
    assert grey == pytest.approx(mask / (1 - 63 / 255) * 63 / 255, abs=1e-5)
    drops = mask[mask > 0] / (1 - 63 / 255)
    assert (drops.min(), drops.max()) == pytest.approx((0.8, 1), abs=0.01)
    assert 0.05 < (mask > 0).mean() < 0.4


def test_line_by_hand():
    ink = overlays.line(np.full((1, 28), 10.25), np.arange(28) < 5)[0]
    expected = [1 + np.log(1 - d / 2.3) for d in (1.25, 0.25, 0.75)]
    assert ink[9:12, 0] == pytest.approx(expected)
    assert not np.delete(ink, [9, 10, 11], 0).any()
    assert not ink[:, 5:].any()


def ink_along(height, columns) -> np.ndarray:
    """Pixel by pixel, the ink of a curve given by its height in each column."""
    picture = np.zeros((28, 28))
    for column in columns:
        for row in range(28):
            distance = abs(row - height(column))
            picture[row, column] = max(0, 1 + np.log(1 - distance / 2.3)) if distance < 2.3 else 0
    return picture


def matches(found: np.ndarray, drawings: np.ndarray) -> list[int]:
    """Which of the drawings each picture is."""
    away = np.abs(found[:, None] - drawings).max((2, 3))
    assert away.min(1).max() < 1e-4
    return [int(i) for i in away.argmin(1)]


def test_dotted_lines_are_those_between_whole_rows_with_every_second_pair_of_columns_left_out():
    drawn = [c for c in range(27) if c % 4 in (2, 3)]
    ends = list(itertools.product(range(27), repeat=2))
    drawings = np.stack([ink_along(lambda c, a=a, b=b: a + (b - a) * c / 27, drawn) for a, b in ends])
    found = np.concatenate([drawn_by(overlays.dotted_line, flat(0, 20), seed) for seed in range(4)])
    used = np.array([ends[i] for part in np.split(found, 8) for i in matches(part, drawings.astype(np.float32))])
    assert len(set(used[:, 0])) > 20
    assert len(set(used[:, 1])) > 20
    assert abs(np.corrcoef(used.T)[0, 1]) < 0.35


def test_zigzags_are_teeth_of_two_pixels_turned_to_the_lines_slope():
    drawings = []
    for row, rise in itertools.product(range(27), range(-5, 5)):
        length, angle = np.hypot(23, rise), np.arctan2(rise, 23)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        teeth = [(0, 0), (2, 2), (6, -2), (10, 2), (14, -2), (18, 2), (22, -2), (length, -1 / (length - 20))]
        picture = np.zeros((28, 28))
        vertices = [turn @ vertex + np.array([2, row]) for vertex in teeth]
        for (x, y), (to_x, to_y) in itertools.pairwise(vertices):
            reached = range(int(np.floor(x)), int(np.ceil(to_x)))
            picture += ink_along(lambda c, x=x, y=y, s=(to_y - y) / (to_x - x): y + s * (c - x), reached)
        drawings.append(picture.clip(0, 1))
    used = matches(drawn_by(overlays.zigzag, flat(0, 60)), np.array(drawings, np.float32))
    assert {i % 10 for i in used} == set(range(10))
    assert len({i // 10 for i in used}) > 15
