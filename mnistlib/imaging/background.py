"""Separate ink from its paper in photographs and scans of any size, with uneven light, shadows, tables and specks."""

from __future__ import annotations

import numpy as np

from mnistlib.imaging.ruling import erase_ruling
from mnistlib.imaging.sheet import crop_to_sheet

LEAST_CONTRAST = 24
DIM = 64
COARSE = 80
OWN_EDGES = 10
WIDEST = 0.3  # of the shorter side: no stroke on uneven paper is wider
FLAT, OF_CONTRAST = 12, 0.08  # grey levels within which paper counts as even, and the part of the contrast
DARK = 160  # grey levels: what differs so much from the paper is ink, however wide
APART = 25  # part of the longer side that lies between ink and what is surely paper
SPECK = 0.03
SOFT = 2  # pixels from a stroke to the end of its soft edge
STRONGEST = 20  # rank of the pixel that counts as full ink: brighter ones may be noise
NOISY = 0.05  # of the contrast between ink and paper
HALO, FAINT, CLEAR = 64, 25, 100  # of 255: ink counts where it is faint, if it is joined to ink that is clear


def extract_digit(grey: np.ndarray) -> np.ndarray:
    """Extract the ink of a picture's one digit. Noise is averaged over four pixels.

    Args:
        grey: luminance, uint8 H×W.

    Returns:
        float32 H×W in 0…255, ink bright on 0; all 0 where nothing stands out from the paper.
    """
    import cv2

    sheet = crop_to_sheet(grey)
    raised = subtract_background(sheet)
    noise, strongest = levels(raised)
    if noise > NOISY * strongest and min(sheet.shape) > COARSE:
        raised = subtract_background(cv2.resize(sheet, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return isolate_digit(raised, FAINT if even_paper(sheet) is not None else HALO)


def subtract_background(grey: np.ndarray) -> np.ndarray:
    """Estimate the paper and subtract it.

    Even paper has one level. Uneven paper behind dark ink is a morphological closing with a square wider than any
    stroke; behind bright ink, an opening (bottom-hat and top-hat transform, Serra 1982). So light from one side, dark
    corners, a shadow and the table around the sheet count as paper. The smoother of the two is right: the other still
    holds the strokes. Dark ink is measured as the fraction of the paper's light that it absorbs, so that it is the same
    in a shadow.

    Args:
        grey: luminance, uint8 H×W.

    Returns:
        How much each pixel differs from the paper, float32 H×W, above 0 for ink.
    """
    level = even_paper(grey)
    if level is not None:
        return np.abs(grey - np.float32(level))
    step = 2 if min(grey.shape) > COARSE else 1
    coarse = grey[::step, ::step]
    if roughness(closing(coarse), coarse) <= roughness(opening(coarse), coarse):
        paper = closing(grey).astype(np.float32)
        raised = (paper - grey) * (255 / np.maximum(paper, DIM))
    else:
        raised = (grey - opening(grey)).astype(np.float32)
    return raised - np.median(raised)  # noise and shades lift the paper


def even_paper(grey: np.ndarray) -> float | None:
    """Return the level of paper without shades, as on a screen or in a scan; None where there is no such paper.

    Of the dark and the bright pixels (Otsu 1979, https://doi.org/10.1109/TSMC.1979.4310076), the paper are those that
    make up most of the picture's border: also where a digit fills the picture. It is even if nearly all of them that
    lie apart from the ink have one level.
    """
    import cv2

    _, bright = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    side = int(border(bright).mean() > 0.5)
    paper = (bright == side).astype(np.uint8)
    level = np.percentile(grey[paper > 0], 90 if side else 10)
    if paper.all():
        return float(level)
    contrast = np.abs(np.median(grey[paper == 0]) - level)
    even = np.abs(grey - level) <= np.clip(OF_CONTRAST * contrast, 4, FLAT)
    reach = 2 * (1 + max(grey.shape) // APART) + 1
    apart = cv2.erode(paper, np.ones((reach, reach), np.uint8)) > 0
    if (~even & apart).sum() > 0.05 * apart.sum() or even[paper > 0].mean() < 0.15:
        return None
    shade = contrast < DARK and widest_disc(1 - paper) > WIDEST / 2 * max(grey.shape)
    return None if shade else float(level)


def widest_disc(mask: np.ndarray) -> float:
    """Return the radius of the widest disc inside a mask, uint8 of 0 and 1."""
    import cv2

    return float(cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 5).max())


def closing(grey: np.ndarray) -> np.ndarray:
    """Remove what is darker and narrower than the widest stroke; the border pixels continue outside the picture."""
    import cv2

    return morphology(cv2.MORPH_CLOSE, grey)


def opening(grey: np.ndarray) -> np.ndarray:
    """Remove what is brighter and narrower than the widest stroke."""
    import cv2

    return morphology(cv2.MORPH_OPEN, grey)


def morphology(operation: int, grey: np.ndarray) -> np.ndarray:
    """Close or open with a square as wide as the widest stroke: H×W of the same type."""
    import cv2

    reach = max(1, round(min(grey.shape) * WIDEST / 2))
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    wide = np.pad(grey, 2 * reach, mode="edge")
    return cv2.morphologyEx(wide, operation, square)[2 * reach : -2 * reach, 2 * reach : -2 * reach]


def roughness(paper: np.ndarray, grey: np.ndarray) -> float:
    """Sum the squared steps between neighbours in the paper; what exceeds the picture's own steps counts tenfold."""
    total = 0.0
    for axis in (0, 1):
        ours, theirs = (np.square(np.diff(each.astype(np.float32), axis=axis)) for each in (paper, grey))
        total += float((ours + OWN_EDGES * np.clip(ours - theirs, 0, None)).sum(dtype=np.float64))
    return total


def isolate_digit(raised: np.ndarray, faintest: int = HALO) -> np.ndarray:
    """Stretch what belongs to the digit to 0…255, faint parts of its strokes like strong ones.

    Args:
        raised: how much each pixel differs from the paper, H×W.
        faintest: of 255, what counts as ink.

    Returns:
        float32 H×W; all 0 where nothing differs enough from the paper.
    """
    import cv2

    noise, strongest = levels(raised)
    if strongest < LEAST_CONTRAST:
        return np.zeros_like(raised)
    stretched = np.clip(raised * (255 / strongest), 0, 255)
    stretched[stretched < max(faintest, 5 * noise * 255 / strongest)] = 0
    stretched = erase_ruling(stretched)
    stretched *= digit_mask(stretched)
    reach = 2 * max(2, max(raised.shape) // 40) + 1
    nearby = cv2.dilate(stretched, np.ones((reach, reach), np.uint8))
    even = stretched * (255 / np.clip(nearby, 2 * faintest, 255))
    even[even < HALO] = 0
    return even


def levels(raised: np.ndarray) -> tuple[float, float]:
    """Return the standard deviation of the noise, and the level of full ink."""
    import cv2

    noise = 1.48 * np.median(np.abs(raised - cv2.medianBlur(raised.astype(np.float32), 3)))
    counts = np.bincount(np.maximum(raised, 0).astype(np.intp).ravel())
    above = np.cumsum(counts[::-1])[::-1]  # how many pixels reach each level
    return float(noise), float(np.flatnonzero(above >= (STRONGEST if raised.size > 1000 else 1))[-1])


def digit_mask(ink: np.ndarray) -> np.ndarray:
    """Return where the digit is, bool H×W with its soft edges.

    The digit is the piece that is tall, has much ink and lies in the middle. Other pieces belong to it unless they are specks, or
    enter at the picture's edge from beside, above or below it.
    """
    import cv2

    count, pieces, boxes, centres = cv2.connectedComponentsWithStats((ink > 0).astype(np.uint8))
    clear = np.bincount(pieces.ravel(), ink.ravel() > CLEAR, count)  # pixels of clear ink in each piece
    clear[0] = 0
    if not clear.any():
        return np.zeros(ink.shape, bool)
    left, top, width, height = boxes[:, :4].T
    right, bottom = left + width, top + height
    at_side = (left == 0) | (right == ink.shape[1])
    at_edge = at_side | (top == 0) | (bottom == ink.shape[0])
    off = np.abs(centres / ink.shape[::-1] - 0.5).max(1)
    size = np.maximum(height, width) * (1.2 - off) * np.where(at_edge, 0.8, 1) * np.sqrt(clear)
    size[0] = 0
    main = int(size.argmax())
    across = np.minimum(right, right[main]) - np.maximum(left, left[main])  # columns shared with the digit
    inside = (across >= width / 2) & (np.minimum(bottom, bottom[main]) - np.maximum(top, top[main]) >= -height)
    kept = (clear >= max(1.0, SPECK * clear[main])) & (~at_edge | inside)
    kept[0], kept[main] = False, True
    square = np.ones((2 * SOFT + 1, 2 * SOFT + 1), np.uint8)
    return cv2.dilate(kept[pieces].astype(np.uint8), square) > 0


def border(grey: np.ndarray) -> np.ndarray:
    """Return the outermost pixels, in one row."""
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
