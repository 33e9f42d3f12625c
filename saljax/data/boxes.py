"""Boxes around the objects of photographs, and where they lie for a classifier."""

import numpy as np
from jaxtyping import Bool, Float

from saljax.data.box_files import Annotation as Annotation
from saljax.data.box_files import Corners as Corners
from saljax.data.box_files import read as read
from saljax.data.folders import resized_and_start


def wrong(corners: Corners, size: tuple[int, int]) -> Bool[np.ndarray, " boxes"]:
    """Boxes that lie outside the picture, or end before they begin, or are not numbers.

    Args:
        corners: (B, 4), in pixels of the file. Corners are inside: a box with x1 = x2 is one pixel
            wide.
        size: its height and width.

    Returns:
        (B,).
    """
    low, high = (np.clip(edges, 0, size[::-1]) for edges in (corners[:, :2], corners[:, 2:] + 1))
    return ~np.asarray((high > low).all(axis=1) & np.isfinite(corners).all(axis=1))


def in_pixels(shares: Corners, size: tuple[int, int]) -> Corners:
    """Corners in pixels of boxes whose edges are given as shares of width and height.

    Args:
        shares: (B, 4), x1, y1, x2, y2 in [0, 1].
        size: height and width of the picture.

    Returns:
        (B, 4): the last pixel lies one before its edge.
    """
    return shares * (size[::-1] * 2) - np.asarray([0, 0, 1, 1])


def follow(
    corners: Corners, size: tuple[int, int], resize: int, crop: int | None, padded: bool = False
) -> Float[np.ndarray, "left 4"]:
    """Boxes on what `folders.prepare` makes of the picture.

    A box from pixel x1 to pixel x2 has its edges at x1 and x2 + 1; they are scaled and moved like
    the picture, and the pixels whose centers lie between them are the box: at least one, the
    nearest, where something of the box is left.

    Args:
        corners: (B, 4), in pixels of the file.
        size: its height and width.
        resize: as in `prepare`.
        crop: as in `prepare`.
        padded: as in `prepare`.

    Returns:
        Those of which the crop leaves something, first and last pixels of the prepared picture.
    """
    side = crop or resize
    scales, begins = scales_and_begins(size, resize, crop, padded)
    low, high = (
        np.clip(np.clip(edges, 0, size[::-1]) * scales - begins, 0, side)
        for edges in (corners[:, :2], corners[:, 2:] + 1)
    )
    first = np.minimum(np.ceil(low - 0.5), side - 1)
    last = np.maximum(np.ceil(high - 0.5) - 1, first)
    return np.concatenate([first, last], axis=1)[(high > low).all(axis=1)].astype(np.float32)


def scales_and_begins(
    size: tuple[int, int], resize: int, crop: int | None, padded: bool = False
) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
    """Factors of x and y in `folders.prepare`, and where its frame begins after them."""
    spans = [
        (length, *resized_and_start(length, size, resize, crop, padded)) for length in size[::-1]
    ]
    lengths, resized, begins = np.asarray(spans, np.float64).T
    return resized / lengths, begins


def padded(corners: Corners | list, number: int) -> Float[np.ndarray, "number 4"]:
    """Boxes and rows of NaN, (number, 4) in all, so that all images have as many."""
    filled = np.full((number, 4), np.nan, np.float32)
    filled[: len(corners)] = np.reshape(np.asarray(corners, np.float32), (-1, 4))
    return filled
