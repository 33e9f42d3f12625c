"""Pictures from files and folders, framed the way a classifier was trained to see them."""

import io
import math
import threading
import warnings
import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageOps

Picture = Float[np.ndarray, "height width 3"]
Framed = Float[np.ndarray, "rows columns 3"]
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}


_OPENING = threading.Lock()


class UnreadableImage(ValueError):
    """A file that is not a picture this library can read; the message says why, in one line."""


def is_picture(path: Path) -> bool:
    """Whether the name of a file is that of a picture, and not of a hidden file."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


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
        raise UnreadableImage("is a directory without images")
    return found


def read_image(path: Path | str | io.BytesIO) -> Picture:
    """Read a picture as RGB in [0, 1].

    Grayscale gets three equal channels, 16-bit values are scaled by 65535, CMYK is converted,
    transparent pixels are laid on white (the page that transparent pictures are drawn for), the
    EXIF orientation is applied, and of an animation the first frame is taken.

    Args:
        path: any file that Pillow reads, or what is in it.

    Returns:
        (H, W, 3) float32 in [0, 1].

    Raises:
        UnreadableImage: no such file, not a picture, damaged, or more than 89 million pixels
            (Pillow's limit against files that are small and unpack to gigabytes).
    """
    try:
        with _quietly_opened(path) as picture:
            if picture.width * picture.height > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise Image.DecompressionBombError
            return _rgb(ImageOps.exif_transpose(picture))
    except FileNotFoundError:
        raise UnreadableImage("no such file") from None
    except IsADirectoryError:
        raise UnreadableImage("is a directory") from None
    except PermissionError:
        raise UnreadableImage("may not be read (permission denied)") from None
    except Image.UnidentifiedImageError:
        raise UnreadableImage("is not an image, or of an unsupported format") from None
    except Image.DecompressionBombError:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise UnreadableImage(f"has more than {limit} million pixels; scale it down") from None
    except UnreadableImage:
        raise
    except Exception as error:  # decoders answer damaged files with any exception at all
        raise UnreadableImage(f"is damaged ({_first_line(error)})") from None


def _quietly_opened(path):
    # Filters of warnings are those of the whole process, and pictures are read by many threads.
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.open(path)


def read_array(path: Path | str) -> Float[np.ndarray, "*spatial channels"]:
    """Read a signal, picture or volume stored with `numpy.save`.

    Args:
        path: .npy file, (*spatial, C), floats; in [0, 1] where there are three channels.

    Returns:
        (*spatial, C) float32.

    Raises:
        UnreadableImage: not such a file, or values that are not finite or out of range.
    """
    try:
        with open(path, "rb") as file:
            array = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise UnreadableImage("no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        raise UnreadableImage("is not a .npy file of numbers") from None
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.floating):
        raise UnreadableImage("must hold floating-point numbers")
    if not np.isfinite(array).all():
        raise UnreadableImage("holds values that are not finite")
    if array.shape[-1:] == (3,) and not (array.min() >= 0 and array.max() <= 1):
        raise UnreadableImage("has values outside 0..1")
    return array.astype(np.float32)


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


def _rgb(picture: Image.Image) -> Picture:
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture, np.float32)
        gray = values if picture.mode == "F" else values / np.float32(65535)
        if not (gray.min() >= 0 and gray.max() <= 1):
            raise UnreadableImage("has values outside 0..1 (floating point) or 0..65535 (integer)")
        return np.repeat(gray[..., None], 3, axis=-1)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    values = np.asarray(picture.convert("RGB"), np.float32)
    values /= np.float32(255)
    return values


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
