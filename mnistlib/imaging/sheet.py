"""Find what is written on: the sheet on a table, the canvas in a page, a sticky note, the inside of a printed frame."""

from __future__ import annotations

import numpy as np

LEAST_CONTRAST = 24
DEEPEST = 4  # sheets within sheets
SMALLEST = 0.04  # of the picture: a smaller sheet is a spot
CONVEX, RECTANGULAR = 0.9, 0.88  # a sheet's area over that of its convex hull, and of the rectangle around it
TALL = 0.33, 0.2  # of the height of a round and a rectangular sheet: what is lower is no writing
MARGIN = 0.02  # of the sheet's side, left out around it


def crop_to_sheet(grey: np.ndarray) -> np.ndarray:
    """Return the innermost sheet or frame that holds writing; the picture itself where there is none.

    A sheet is a region of one brightness within the picture, convex, with something written inside. The hole of a 0 has
    nothing inside, and the body of an 8 is not convex.

    Args:
        grey: luminance, uint8 H×W.

    Returns:
        uint8, smaller; around a sheet that is no rectangle it has the sheet's own brightness.
    """
    for _ in range(DEEPEST):
        inner = sheet_inside(grey)
        if inner is None:
            break
        grey = inner
    return grey


def sheet_inside(grey: np.ndarray) -> np.ndarray | None:
    """Return the largest sheet strictly inside the picture, or None."""
    import cv2

    _, bright = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if bright.min() == bright.max() or grey[bright > 0].mean() - grey[bright == 0].mean() < LEAST_CONTRAST:
        return None
    best, found = SMALLEST * grey.size, None
    for side in (0, 1):
        outlines, tree = cv2.findContours((bright == side).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        for i, outline in enumerate(outlines):
            area = cv2.contourArea(outline)
            if tree[0][i][3] >= 0 or area <= best:
                continue
            if is_sheet(outline, [outlines[k] for k in np.flatnonzero(tree[0][:, 3] == i)], grey.shape):
                best, found = area, outline
    return None if found is None else cut_out(grey, found)


def is_sheet(outline: np.ndarray, inside: list[np.ndarray], shape: tuple[int, ...]) -> bool:
    """Return whether a region looks like a sheet: `inside` are the outlines of its holes, the writing."""
    import cv2

    left, top, width, height = cv2.boundingRect(outline)
    if min(left, top) == 0 or left + width == shape[1] or top + height == shape[0]:
        return False
    area = cv2.contourArea(outline)
    if area < CONVEX * cv2.contourArea(cv2.convexHull(outline)):
        return False
    turned = cv2.minAreaRect(outline)[1]
    rectangular = area >= RECTANGULAR * turned[0] * turned[1]
    tall = [hole for hole in inside if cv2.boundingRect(hole)[3] >= TALL[rectangular] * height]
    ink = sum(cv2.contourArea(hole) for hole in inside)
    if not tall or ink > area / 2:
        return False
    return (rectangular and ink <= area / 10) or any(is_writing(hole, rectangular) for hole in tall)


def is_writing(hole: np.ndarray, rectangular: bool) -> bool:
    """Return whether a hole in a sheet is written there: in a rectangular sheet any but a rectangle, else no blob."""
    import cv2

    area = cv2.contourArea(hole)
    turned = cv2.minAreaRect(hole)[1]
    return area < (RECTANGULAR * turned[0] * turned[1] if rectangular else 0.8 * cv2.contourArea(cv2.convexHull(hole)))


def cut_out(grey: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Return the box of an outline; what lies outside it, or at its edge, gets the median brightness of the inside."""
    import cv2

    left, top, width, height = cv2.boundingRect(outline)
    mask = cv2.drawContours(np.zeros(grey.shape, np.uint8), [outline], -1, 1, cv2.FILLED)
    margin = 2 * (1 + round(MARGIN * min(width, height))) + 1
    mask = cv2.erode(mask, np.ones((margin, margin), np.uint8))
    sheet = np.where(mask > 0, grey, np.uint8(np.median(grey[mask > 0]))) if mask.any() else grey
    return sheet[top : top + height, left : left + width]
