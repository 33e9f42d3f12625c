"""Pictures from files and folders, framed the way a classifier was trained to see them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from saljax.data.files import PICTURES, needs, suffixes
from saljax.data.files import Picture as Picture
from saljax.data.files import UnreadableImage as UnreadableImage
from saljax.data.files import read_array as read_array
from saljax.data.files import read_image as read_image

Framed = Float[np.ndarray, "rows columns 3"]
Pixels = Float[np.ndarray, "height width channels"]
Cut = Float[np.ndarray, "rows columns channels"]
Edges = tuple[float, float, float, float]
MARGIN = 2
"""Pixels beyond a crop that are resized with it, as wide as the filter."""
NAMED = 3
"""Most files that one line names. Our choice."""


def is_picture(path: Path) -> bool:
    """Whether the name of a file is that of a picture, and not of a hidden file."""
    return path.suffix.lower() in suffixes() and not path.name.startswith(".")


def list_images(folder: Path) -> list[Path]:
    """Pictures directly inside a folder, by file name suffix, in order of their names; none hidden.

    Args:
        folder: an existing directory; folders inside it are not entered.

    Returns:
        Paths, at least one.

    Raises:
        UnreadableImage: there is no picture in the folder.
    """
    found = sorted(path for path in folder.iterdir() if is_picture(path))
    if not found:
        others = unread(folder)
        that = f", but for {others}" if others else ""
        raise UnreadableImage(f"is a directory without images{that}")
    return found


def unread(folder: Path) -> str:
    """Name the pictures directly inside a folder that cannot be read here.

    Args:
        folder: an existing directory.

    Returns:
        A phrase, `2 that cannot be read (a.heic, b.svg); .heic needs pip install 'saljax[heif]'`;
        "" if there are none.
    """
    inside = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    found = [name for name in inside if Path(name).suffix.lower() in PICTURES - suffixes()]
    if not found:
        return ""
    remedies = sorted({needs(Path(name).suffix) for name in found} - {""})
    return "; ".join([f"{len(found)} that cannot be read ({some(found)})", *remedies])


def some(names: Sequence[str]) -> str:
    """Join the first few names: `a.jpg, b.jpg, c.jpg, ...`."""
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def prepare(image: Picture, resize: int, crop: int | None = None, padded: bool = False) -> Framed:
    """Frame a picture for a classifier: short side to `resize`, then the center `crop`.

    Bilinear and antialiased, the geometry of torchvision's Resize and CenterCrop. Only the part
    of the picture that ends up in the crop is resized, with a margin as wide as the filter, so a
    very long picture costs no more than a square one.

    Args:
        image: (H, W, 3).
        resize: length of the short side in pixels.
        crop: side of the square in pixels, at most `resize`; None squeezes the whole picture into
            a square of side `resize`.
        padded: the whole picture in its shape instead: the long side to `resize`, black beside it.

    Returns:
        (crop, crop, 3) float32, or (resize, resize, 3).
    """
    if crop is None and not padded:
        return resample(image, (resize, resize))
    size, side = image.shape[:2], crop or resize
    lengths, starts = zip(
        *(resized_and_start(length, size, resize, crop, padded) for length in size), strict=True
    )
    first = [max(start - MARGIN, 0) for start in starts]
    last = [min(s + side + MARGIN, n) for s, n in zip(starts, lengths, strict=True)]
    top, left, bottom, right = (
        end * length / resized
        for ends in (first, last)
        for end, length, resized in zip(ends, size, lengths, strict=True)
    )
    part = resample(image, (last[0] - first[0], last[1] - first[1]), (left, top, right, bottom))
    y, x = (start - begin for start, begin in zip(starts, first, strict=True))
    return cut(part, (x, y, x + side, y + side))


def frame(
    size: tuple[int, int], resize: int, crop: int | None = None, padded: bool = False
) -> Edges:
    """Where on a picture lies what `prepare` makes of it: a map of the one belongs there.

    Args:
        size: height and width of the picture.
        resize: as in `prepare`.
        crop: as in `prepare`.
        padded: as in `prepare`.

    Returns:
        Left, upper, right and lower edge in pixels of the picture; outside of it where `padded`.
    """
    side = crop or resize
    spans = []
    for length in reversed(size):
        resized, start = resized_and_start(length, size, resize, crop, padded)
        spans.append((start * length / resized, (start + side) * length / resized))
    (left, right), (top, bottom) = spans
    return left, top, right, bottom


def cut(image: Pixels, edges: Sequence[float]) -> Cut:
    """The part of a picture between edges, to the next whole pixel; black where there is none.

    Args:
        image: (H, W, C).
        edges: left, upper, right and lower, in pixels.

    Returns:
        (h, w, C), at least one pixel; a view of `image` where that has all of it.
    """
    left, top, right, bottom = whole_pixels(edges, image.shape)
    height, width = image.shape[:2]
    part = image[max(top, 0) : bottom, max(left, 0) : right]
    beside = (
        (max(-top, 0), max(bottom - height, 0)),
        (max(-left, 0), max(right - width, 0)),
        (0, 0),
    )
    return np.pad(part, beside) if np.any(beside) else part


def whole_pixels(edges: Sequence[float], shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Edges to the next whole pixel of a picture, at least one of which lies between them.

    Args:
        edges: left, upper, right and lower, in pixels.
        shape: of the picture, (height, width, ...).
    """
    left, top = (min(round(e), n - 1) for e, n in zip(edges[:2], shape[1::-1], strict=True))
    right, bottom = (max(round(e), e0 + 1) for e, e0 in zip(edges[2:], (left, top), strict=True))
    return left, top, right, bottom


def resized_and_start(
    length: int, size: tuple[int, int], resize: int, crop: int | None, padded: bool = False
) -> tuple[int, int]:
    """One side of a picture in `prepare`.

    Args:
        length: of this side of the file, in pixels.
        size: height and width of the file.
        resize: as in `prepare`.
        crop: as in `prepare`.
        padded: as in `prepare`.

    Returns:
        Length of the side after resizing, and where the frame begins on it: below 0 where `padded`.
    """
    if padded:
        resized = max(round(resize * length / max(size)), 1)
        return resized, -((resize - resized) // 2)
    if crop is None:
        return resize, 0
    resized = resize * length // min(size)
    return resized, round((resized - crop) / 2)


def resample(
    image: Float[np.ndarray, "height width *channels"],
    shape: tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
) -> Float[np.ndarray, "new_height new_width *channels"]:
    """Resize a picture or a map bilinearly, antialiased when it shrinks, without rounding.

    Args:
        image: (H, W) or (H, W, C) float32.
        shape: new height and width.
        box: left, upper, right and lower edge of the part to take, in pixels; all of it if None.

    Returns:
        (*shape) or (*shape, C) float32.
    """
    height, width = image.shape[:2]
    if shape == (height, width) and box in (None, (0, 0, width, height)):
        return np.asarray(image, np.float32)
    if image.ndim == 3:
        return np.stack([resample(plane, shape, box) for plane in np.moveaxis(image, -1, 0)], -1)
    plane = Image.fromarray(np.ascontiguousarray(image, np.float32))
    size = (shape[1], shape[0])
    return np.asarray(plane.resize(size, Image.Resampling.BILINEAR, box=box))
