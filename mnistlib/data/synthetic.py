"""Ink of the project's own making: the digits' many variants, drawn as if by many hands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnistlib.data.datasets import are_digits
from mnistlib.data.variants import VARIANTS
from mnistlib.imaging.framing import Stroke, rasterize

STEPS = 12


def synthesize(count: int, classes: Sequence[str], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` digits, every digit and every variant of it as often as another.

    Returns images uint8 N×28×28 and labels uint8 N, the same for the same seed; none when `classes` are no digits.
    """
    noise = np.random.default_rng(seed)
    count = count if are_digits(classes) else 0
    labels = noise.permutation(np.arange(count) % len(VARIANTS)).astype(np.uint8)
    images = np.zeros((count, 28, 28), np.uint8)
    for i, label in enumerate(labels):
        variants = list(VARIANTS[int(label)].values())
        template = variants[noise.integers(len(variants))]
        images[i] = draw_variant([np.array(stroke, float) for stroke in template], noise)
    return images, labels


def examples() -> list[list[np.ndarray]]:
    """A one with flag and foot, a barred seven, a nine like a g: strokes N×2, as in a copybook."""
    chosen = ((1, "flag and foot"), (7, "hooked and barred"), (9, "like a g"))
    return [[smooth(np.array(stroke, float)) for stroke in VARIANTS[digit][name]] for digit, name in chosen]


def draw_variant(template: list[np.ndarray], noise: np.random.Generator) -> np.ndarray:
    """One hand's version of a template: strokes N×2 → uint8 28×28."""
    loose = [stroke + same_where_same(stroke, noise.normal(0, 3.5, stroke.shape)) for stroke in template]
    return rasterize(warp([smooth(stroke) for stroke in loose], 1.0, noise), pen=noise.uniform(1.8, 3.6))


def vary_drawing(strokes: Sequence[Stroke], noise: np.random.Generator) -> np.ndarray:
    """A person's drawing as the same hand might have drawn it another time: uint8 28×28."""
    paths = [np.array(stroke, float) for stroke in strokes if len(stroke)]
    extent = max(float(np.ptp(np.concatenate(paths), axis=0).max()), 1e-9)
    return rasterize(warp([path * (100 / extent) for path in paths], 0.4, noise), pen=noise.uniform(2.2, 3.2))


def same_where_same(stroke: np.ndarray, wobble: np.ndarray) -> np.ndarray:
    """The wobble, with a corner's second point moved like its first."""
    twice = np.flatnonzero((np.diff(stroke, axis=0) == 0).all(1)) + 1
    wobble[twice] = wobble[twice - 1]
    return wobble


def smooth(points: np.ndarray) -> np.ndarray:
    """A curve through the points N×2, sharp where a point stands twice (Catmull & Rom 1974)."""
    corners = np.flatnonzero((np.diff(points, axis=0) == 0).all(1)) + 1
    return np.concatenate([curve(piece) for piece in np.split(points, corners)])


def curve(points: np.ndarray) -> np.ndarray:
    """A smooth curve through the points N×2, `STEPS` to each piece between two."""
    if len(points) < 3:
        return points
    around = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    a, b, c, d = around[:-3], around[1:-2], around[2:-1], around[3:]
    t = np.linspace(0, 1, STEPS, endpoint=False)[:, None, None]
    pieces = b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.concatenate([pieces.transpose(1, 0, 2).reshape(-1, 2), points[-1:]])


def warp(strokes: list[np.ndarray], strength: float, noise: np.random.Generator) -> list[np.ndarray]:
    """Slant, proportions, turn, wobble and missed joins, as one hand would have them; strokes about 100 high."""
    turn, slant = strength * noise.normal(0, 0.1), strength * noise.normal(0.1, 0.3)
    wide = np.exp(strength * noise.normal(0, 0.25))
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    form = turned @ np.array([[wide, -slant], [0.0, 1.0]])
    waves, phases = strength * noise.normal(0, 1.2, (2, 2)), noise.uniform(0, 2 * np.pi, (2, 2))
    bent = []
    for stroke in strokes:
        along = np.linspace(0, 2 * np.pi, len(stroke))[:, None]
        wobble = waves[0] * np.sin(along + phases[0]) + waves[1] * np.sin(2 * along + phases[1])
        bent.append((stroke + wobble + strength * noise.normal(0, 2.5, 2)) @ form.T)
    return bent
