"""Out-of-distribution (OOD) test samples: noise, scribbles, letters of installed fonts, overlaid digits.

Each kind is a function of a count and a random generator → uint8 N×28×28, framed as MNIST where it has ink. Training
never sees them: its outliers are made in other ways. Only noise and blank images resemble the speckles among those,
so their rejection says little about unseen kinds.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mnistlib.data.datasets import DATASETS, are_digits, shows_digits
from mnistlib.data.loading import obtain
from mnistlib.data.locations import complete
from mnistlib.imaging.framing import SIZE, frame, rasterize
from mnistlib.runs.layout import RAW

LOOKALIKES = {"0": "Oo", "1": "Il", "2": "Zz", "5": "Ss", "6": "b", "9": "gq"}
LETTERS = "".join(c for c in string.ascii_letters if c not in "".join(LOOKALIKES.values()))
HEIGHT = 48
FONTS = 40


def make_ood_data(
    count: int, images: np.ndarray, labels: np.ndarray, classes: Sequence[str], seed: int
) -> dict[str, np.ndarray]:
    """Return OOD images of each kind by its name.

    The result depends on the seed, the installed fonts and the datasets on this machine.

    Args:
        count: images of each kind.
        images, labels: the test set, uint8 N×28×28 and int N, of which two digits are overlaid.
        classes: names of the network's classes.
        seed: of all kinds.

    Returns:
        uint8 count×28×28 by kind; empty for a count of 0 or a network of other classes than digits.
    """
    if not count or not are_digits(classes):
        return {}
    kinds: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
        "letters": partial(letters, alphabet=LETTERS),
        "lookalikes": partial(letters, alphabet="".join(LOOKALIKES.values())),
        "scribbles": scribbles,
        "overlaid": partial(overlaid, images=images, labels=labels),
        "blobs": blobs,
        "noise": uniform_noise,
        "blank": blank,
    }
    kinds.update({name: partial(sample, dataset=name) for name in DATASETS if is_other_data_here(name)})
    return {name: make(count, np.random.default_rng([seed, i])) for i, (name, make) in enumerate(kinds.items())}


def blank(count: int, noise: np.random.Generator) -> np.ndarray:
    """Black images."""
    return np.zeros((count, SIZE, SIZE), np.uint8)


def uniform_noise(count: int, noise: np.random.Generator) -> np.ndarray:
    """Independent uniform greys."""
    return noise.integers(0, 256, (count, SIZE, SIZE), dtype=np.uint8)


def blobs(count: int, noise: np.random.Generator) -> np.ndarray:
    """Gaussian noise, blurred by 1 to 4 pixels and cut at a random level."""
    from scipy.ndimage import gaussian_filter

    made = np.zeros((count, SIZE, SIZE), np.uint8)
    for i in range(count):
        rough = gaussian_filter(noise.normal(size=(SIZE, SIZE)), noise.uniform(1, 4))
        made[i] = frame(np.clip(255 * (rough / rough.std() - noise.uniform(0, 1)), 0, 255))
    return made


def scribbles(count: int, noise: np.random.Generator) -> np.ndarray:
    """One to three strokes of wandering curvature, long enough not to be a digit by accident."""
    drawn = [[wander(noise, 240 // n) for _ in range(n)] for n in noise.integers(1, 4, count)]
    return np.stack([rasterize(strokes, noise.uniform(1.8, 3.2)) for strokes in drawn])


def wander(noise: np.random.Generator, steps: int) -> np.ndarray:
    """Return a smooth path N×2 of unit steps; its curvature is a damped random walk."""
    curvature = np.zeros(steps)
    for i, push in enumerate(noise.normal(0, 0.08, steps - 1)):
        curvature[i + 1] = 0.95 * curvature[i] + push
    heading = noise.uniform(0, 2 * np.pi) + curvature.cumsum()
    return noise.uniform(0, 30, 2) + np.stack([np.cos(heading), np.sin(heading)], axis=1).cumsum(0)


def overlaid(count: int, noise: np.random.Generator, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The pixelwise maximum of two digits of different classes."""
    first = noise.integers(len(labels), size=count)
    second = [noise.choice(np.flatnonzero(labels != label)) for label in labels[first]]
    return np.maximum(images[first], images[second])


def letters(count: int, noise: np.random.Generator, alphabet: str = LETTERS) -> np.ndarray:
    """Letters of installed fonts in equal numbers, slightly slanted and rotated."""
    fonts = some_fonts(min(FONTS, count), noise)
    forms = zip(noise.integers(len(fonts), size=count), noise.normal(0, 0.1, (count, 2)), strict=True)
    return np.stack([glyph(fonts[font], alphabet[i % len(alphabet)], *form) for i, (font, form) in enumerate(forms)])


def some_fonts(count: int, noise: np.random.Generator) -> list[str]:
    """Return files of up to `count` fonts that have letters; matplotlib's own fonts are among the candidates."""
    from matplotlib import font_manager

    files = {Path(font.fname).name: font.fname for font in font_manager.fontManager.ttflist}
    names = noise.permutation(sorted(files))
    usable = (files[name] for name in names if has_letters(files[name]))
    return [path for path, _ in zip(usable, range(count), strict=False)]


@cache
def has_letters(path: str) -> bool:
    """Return whether a font's letters look like letters, and not like symbols, boxes or nothing."""
    from matplotlib import get_data_path

    plain = str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
    try:
        pairs = [(glyph(plain, c).ravel(), glyph(path, c).ravel()) for c in "AEHKMRTWacehkmrt"]
    except OSError:
        return False
    return all(there.any() and np.corrcoef(expected, there)[0, 1] > 0.1 for expected, there in pairs)


def glyph(path: str, letter: str, slant: float = 0.0, turn: float = 0.0) -> np.ndarray:
    """Draw a letter, its top slanted to the right by a share of its height, rotated by radians: uint8 28×28."""
    middle = 1.5 * HEIGHT
    page = Image.new("L", (3 * HEIGHT, 3 * HEIGHT))
    ImageDraw.Draw(page).text((middle, middle), letter, fill=255, font=opened(path), anchor="mm")
    cos, sin = np.cos(turn), np.sin(turn)
    inverse = np.array([[1.0, slant], [0.0, 1.0]]) @ np.array([[cos, -sin], [sin, cos]])
    shift = middle - inverse @ [middle, middle]
    rows = (*inverse[0], shift[0], *inverse[1], shift[1])
    return frame(np.asarray(page.transform(page.size, Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR)))


@cache
def opened(path: str) -> ImageFont.FreeTypeFont:
    """Return a font at drawing size. Raises OSError."""
    return ImageFont.truetype(path, HEIGHT)


def is_other_data_here(dataset: str) -> bool:
    """Return whether this machine has the files of an MNIST-shaped dataset without digits."""
    return not shows_digits(dataset) and complete(RAW / dataset)


def sample(count: int, noise: np.random.Generator, dataset: str) -> np.ndarray:
    """Random test images of another dataset."""
    images = obtain(dataset, source="raw").test_images
    return images[noise.permutation(len(images))[:count]]
