"""Masks of outlines and of run lengths, as COCO has them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from saljax.data.annotations.example import Mask


def of_polygons(polygons: Sequence[Float[np.ndarray, "corners 2"]], size: tuple[int, int]) -> Mask:
    """Pixels whose centers lie inside any of several polygons.

    Args:
        polygons: x, y of their corners, 0 the edge of the first pixel and 1 its other edge; one
            that crosses itself is empty where it covers a place twice.
        size: (height, width).

    Returns:
        (height, width). The rule is that of this library's boxes; COCO's own tool differs from it
        in pixels on the outline.
    """
    found = np.zeros(size, bool)
    for corners in polygons:
        found |= _inside(corners, size)
    return found


def _inside(corners: Float[np.ndarray, "corners 2"], size: tuple[int, int]) -> Mask:
    height, width = size
    centers = np.arange(height) + 0.5
    x1, y1 = corners.T[..., None]
    x2, y2 = np.roll(corners, -1, axis=0).T[..., None]
    edges, rows = np.nonzero((y1 <= centers) != (y2 <= centers))
    x1, y1, x2, y2 = (ends[edges, 0] for ends in (x1, y1, x2, y2))
    crossed = x1 + (centers[rows] - y1) * (x2 - x1) / (y2 - y1)
    columns = np.clip(np.ceil(crossed - 0.5), 0, width).astype(int)
    turns = np.zeros((height, width + 1), int)
    np.add.at(turns, (rows, columns), 1)
    return turns.cumsum(axis=1)[:, :width] % 2 == 1


def of_runs(counts: Sequence[int], size: tuple[int, int]) -> Mask:
    """A mask of the lengths of its runs, down the columns from the left, the first of zeros.

    Raises:
        ValueError: they do not add up to the picture.
    """
    height, width = size
    lengths = np.asarray(counts, np.int64)
    if (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(f"runs of {lengths.sum()} pixels for a picture of {height * width}")
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


def run_lengths(text: str) -> list[int]:
    """Read COCO's compressed run lengths.

    Each character is 48 and six bits: five of a number, the lowest first, and one that says that
    more follow; the highest bit of the last is the sign. From the fourth on a number is what a run
    is longer than that before the last.

    Raises:
        ValueError: it ends in the middle of a number, or has other characters.
    """
    counts: list[int] = []
    number = bits = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise ValueError(f"{character!r} in run lengths")
        number |= (code & 31) << bits
        bits += 5
        if code < 32:
            number -= (code & 16) << (bits - 4)  # the sign, if it is set
            counts.append(number + (counts[-2] if len(counts) > 2 else 0))
            number = bits = 0
    if bits:
        raise ValueError("run lengths end in the middle of a number")
    return counts
