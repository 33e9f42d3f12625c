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


def prepare(image: Picture, resize: int, crop: int | None = None) -> Framed:
    """Frame a picture for a classifier: short side to `resize`, then the center `crop`.

    Bilinear and antialiased, the geometry of torchvision's Resize and CenterCrop. Only the part
    of the picture that ends up in the crop is resized, with a margin as wide as the filter, so a
    very long picture costs no more than a square one.

    Args:
        image: (H, W, 3).
        resize: length of the short side in pixels.
        crop: side of the square in pixels, at most `resize`; None squeezes the whole picture into
            a square of side `resize`.

    Returns:
        (crop, crop, 3) float32, or (resize, resize, 3).
    """
    if crop is None:
        return resample(image, (resize, resize))
    height, width = image.shape[:2]
    rows, top = resized_and_start(height, min(height, width), resize, crop)
    columns, left = resized_and_start(width, min(height, width), resize, crop)
    margin = 2
    first_row, last_row = max(top - margin, 0), min(top + crop + margin, rows)
    first_column, last_column = max(left - margin, 0), min(left + crop + margin, columns)
    box = (
        first_column * width / columns,
        first_row * height / rows,
        last_column * width / columns,
        last_row * height / rows,
    )
    part = resample(image, (last_row - first_row, last_column - first_column), box)
    y, x = top - first_row, left - first_column
    return part[y : y + crop, x : x + crop]


def seen(image: Picture, resize: int, crop: int | None = None) -> Framed:
    """The part of a picture that `prepare` shows to the classifier, in the picture's own pixels.

    A map of the prepared picture, stretched over this part, lies where it belongs: the inverse
    of `prepare`.

    Args:
        image: (H, W, 3).
        resize: as in `prepare`.
        crop: as in `prepare`.

    Returns:
        (h, w, 3), a view of `image`.
    """
    if crop is None:
        return image
    height, width = image.shape[:2]
    rows, top = resized_and_start(height, min(height, width), resize, crop)
    columns, left = resized_and_start(width, min(height, width), resize, crop)

    def pixels(start, length, resized):
        first = min(round(start * length / resized), length - 1)
        return slice(first, max(round((start + crop) * length / resized), first + 1))

    return image[pixels(top, height, rows), pixels(left, width, columns)]


def resized_and_start(length: int, short: int, resize: int, crop: int) -> tuple[int, int]:
    """One side of a picture in `prepare`.

    Args:
        length: of this side of the file, in pixels.
        short: the shorter of the file's sides.
        resize: as in `prepare`.
        crop: as in `prepare`.

    Returns:
        Length of the side after resizing, and where the crop begins on it.
    """
    resized = resize * length // short
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
    if image.ndim == 3:
        return np.stack([resample(plane, shape, box) for plane in np.moveaxis(image, -1, 0)], -1)
    plane = Image.fromarray(np.ascontiguousarray(image, np.float32))
    size = (shape[1], shape[0])
    return np.asarray(plane.resize(size, Image.Resampling.BILINEAR, box=box))
