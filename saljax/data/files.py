"""One picture, or one array, from one file."""

import contextlib
import functools
import importlib.util
import io
import math
import os
import threading
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageOps

from saljax.data import medical

Picture = Float[np.ndarray, "height width 3"]
Range = tuple[float, float]

PICTURES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".gif", ".tif",
    ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".psd", ".avif", ".jp2", ".j2k", ".jpx",
    ".heic", ".heif", ".hif", ".jxl", ".svg", ".exr", ".dng", ".cr2", ".cr3", ".nef", ".arw",
    ".raf", ".orf", ".rw2", *medical.DICOM,
}  # fmt: skip
"""Endings of what people call a picture; not all can be read everywhere, some nowhere here."""
HEIF = {".heic", ".heif", ".hif"}
PLUGINS = ("pillow_heif", "pillow_jxl")
"""Modules that teach Pillow more formats, where they are installed."""

MOST_PIXELS = 89_478_485
"""What is larger is reduced; Pillow warns here of small files that unpack to gigabytes."""
BYTES_A_PIXEL = 16
"""Memory while a picture is decoded, turned upright and converted."""
DEPTHS = (8, 10, 12, 14, 16)
"""Bits of a gray value that cameras and scanners give, whatever they are stored in."""
LEAST_FLOAT = 32.0
"""Floating-point values up to more than this are no fractions that overshoot 1. Our choice."""
BITS_PER_SAMPLE, MAX_SAMPLE_VALUE = 258, 281
"""Tags of TIFF."""
FULL_RANGE = ("PPM", "JPEG2000")
"""Formats whose depths between 8 and 16 bits Pillow brings to 16."""

SAY_WHICH = "say which are black and white with --range LOW,HIGH"

_OPENING = threading.Lock()


class UnreadableImage(ValueError):
    """A file that is not a picture this library can read; the message says why, in one line."""


class Opened(NamedTuple):
    """A picture, and how it was read.

    Attributes:
        image: (H, W, 3) float32 in [0, 1].
        size: (height, width) of the file, upright: those of `image` unless that was reduced.
        values: the values of the file that became 0 and 1, where it has more than 8 bits; else
            None.
        guessed: `values` come from the range of what is in the file, and from nothing better.
    """

    image: Picture
    size: tuple[int, int]
    values: Range | None = None
    guessed: bool = False


@functools.cache
def suffixes() -> frozenset[str]:
    """Return the endings of the pictures that can be read here."""
    for name in PLUGINS:
        with contextlib.suppress(ImportError):
            getattr(importlib.import_module(name), "register_heif_opener", lambda: None)()
    dicom = medical.DICOM if importlib.util.find_spec("pydicom") else set()
    return frozenset(PICTURES & {*Image.registered_extensions(), *dicom})


def needs(suffix: str) -> str:
    """Return what to install for pictures of an ending that cannot be read here, or ""."""
    extras = dict.fromkeys(HEIF, "heif") | dict.fromkeys(medical.DICOM, "dicom")
    extra = extras.get(suffix.lower()) if suffix.lower() not in suffixes() else None
    return f"{suffix.lower()} needs pip install 'saljax[{extra}]'" if extra else ""


def read_image(path: Path | str | io.BytesIO, values: Range | None = None) -> Picture:
    """Read a picture as RGB in [0, 1].

    Grayscale gets three equal channels, more than 8 bits are scaled by the file's own depth or by
    what its values suggest (`open_image` says which), CMYK is converted, transparent pixels are
    laid on white (the page that transparent pictures are drawn for), the EXIF orientation is
    applied, and of an animation the first frame is taken. A picture of more than `MOST_PIXELS` is
    reduced by a whole number: a JPEG while it is decoded, others afterwards.

    Args:
        path: any file that Pillow reads, or what is in it.
        values: the values of a file with more than 8 bits that are 0 and 1, what lies outside is
            cut; None: guess.

    Returns:
        (H, W, 3) float32 in [0, 1].

    Raises:
        UnreadableImage: no such file, not a picture, damaged, values of which no range can be
            guessed, or more pixels than free memory has room for.
    """
    return open_image(path, values).image


def open_image(path: Path | str | io.BytesIO, values: Range | None = None) -> Opened:
    """As `read_image`, and say how it was read."""
    try:
        if medical.is_dicom(path):
            return _dicom(path, values)
        with _quietly_opened(path) as picture:
            width, height = picture.size
            _decode_less(picture)
            upright = ImageOps.exif_transpose(picture)
            same = upright.size == picture.size
            size = (height, width) if same else (width, height)
            if picture.mode.startswith(("I", "F")):
                gray = np.asarray(upright, np.float32)
                values, guessed = (values, False) if values else _range(gray, picture)
                gray = scaled(np.asarray(_reduced(Image.fromarray(gray))), values)
                return Opened(np.repeat(gray[..., None], 3, axis=-1), size, values, guessed)
            return Opened(_rgb(upright), size)
    except FileNotFoundError:
        raise UnreadableImage("no such file") from None
    except IsADirectoryError:
        raise UnreadableImage("is a directory") from None
    except PermissionError:
        raise UnreadableImage("may not be read (permission denied)") from None
    except Image.UnidentifiedImageError:
        hint = needs(Path(path).suffix) if isinstance(path, Path | str) else ""
        problem = "is not an image, or of an unsupported format"
        raise UnreadableImage("; ".join(filter(None, [problem, hint]))) from None
    except UnreadableImage:
        raise
    except Exception as error:  # decoders answer damaged files with any exception at all
        raise UnreadableImage(f"is damaged ({first_line(error)})") from None


def read_array(
    path: Path | str | io.BytesIO, values: Range | None = None
) -> Float[np.ndarray, "*spatial channels"]:
    """Read a signal, picture or volume stored with `numpy.save`.

    Args:
        path: .npy file, (*spatial, C), or what is in it: floats; in [0, 1] where there are three
            channels.
        values: any numbers will do, and these become 0 and 1; what lies outside is cut.

    Returns:
        (*spatial, C) float32.

    Raises:
        UnreadableImage: not such a file, or values that are not finite or out of range.
    """
    try:
        content = path if isinstance(path, io.BytesIO) else io.BytesIO(Path(path).read_bytes())
        array = np.load(content, allow_pickle=False)
    except FileNotFoundError:
        raise UnreadableImage("no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        raise UnreadableImage("is not a .npy file of numbers") from None
    kind = np.floating if values is None else np.integer | np.floating
    if not isinstance(array, np.ndarray) or not issubclass(array.dtype.type, kind):
        raise UnreadableImage("must hold floating-point numbers")
    if not np.isfinite(array).all():
        raise UnreadableImage("holds values that are not finite")
    array = array.astype(np.float32)
    if values is not None:
        return scaled(array, values)
    if array.shape[-1:] == (3,) and not (array.min() >= 0 and array.max() <= 1):
        raise UnreadableImage(f"has values outside 0..1; {SAY_WHICH}")
    return array


def _dicom(path: Path | str | io.BytesIO, values: Range | None) -> Opened:
    try:
        image, values, guessed = medical.read_dicom(path, values)
    except medical.UnreadableError as error:
        raise UnreadableImage(str(error)) from None
    return Opened(image, (image.shape[0], image.shape[1]), values, guessed)


def _quietly_opened(path):
    # Filters of warnings are those of the whole process, and pictures are read by many threads.
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Image.open(path)
        except Image.UnidentifiedImageError:
            suffixes()  # all plugins are there after it
            return Image.open(path)
        except Image.DecompressionBombError:  # `_decode_less` has a limit of its own
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                return Image.open(path)
            finally:
                Image.MAX_IMAGE_PIXELS = limit


def _decode_less(picture: Image.Image) -> None:
    """Have a large JPEG decoded at a reduced size; refuse what does not fit into memory."""
    factor = _factor(picture)
    if factor > 1:
        picture.draft(None, (picture.width // factor, picture.height // factor))
        pixels = picture.width * picture.height
        if pixels * BYTES_A_PIXEL > _free_memory():
            number = f"{pixels / 1e6:.0f} million pixels"
            raise UnreadableImage(f"has {number}, too many for the memory that is free")


def _factor(picture: Image.Image) -> int:
    return math.ceil(math.sqrt(picture.width * picture.height / MOST_PIXELS))


def _reduced(picture: Image.Image) -> Image.Image:
    factor = _factor(picture)
    return picture.reduce(factor) if factor > 1 else picture


def _free_memory() -> float:
    """Bytes; where the system does not tell, half of all there are, or 4 GiB."""
    with contextlib.suppress(OSError):
        facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return 1024 * int(facts["MemAvailable"].split()[0])
    with contextlib.suppress(AttributeError, OSError, ValueError):  # there is none on Windows
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2
    return 4 << 30


def _range(gray: np.ndarray, picture: Image.Image) -> tuple[Range, bool]:
    """What black and white are in a picture with more than 8 bits, and whether that is a guess."""
    low, high = float(gray.min()), float(gray.max())
    if low >= 0 and high <= (1 if picture.mode == "F" else 0):
        return (0, 1), False
    own = _own_range(picture)
    if own and low >= 0 and high <= own:
        return (0, own), False
    guess = next((2**bits - 1 for bits in DEPTHS if high < 2**bits), None)
    if guess is None or low < 0 or (picture.mode == "F" and high < LEAST_FLOAT):
        expected = "0..1" if picture.mode == "F" else "0..65535"
        raise UnreadableImage(f"has values outside {expected}, {low:g} to {high:g}; {SAY_WHICH}")
    whole = picture.mode.startswith("I;16") and guess == 65535
    return (0, guess), not whole


def _own_range(picture: Image.Image) -> float | None:
    """The highest value that the file itself says it may have; None where it does not."""
    if picture.format in FULL_RANGE:
        return 65535.0
    tags = getattr(picture, "tag_v2", {})
    (bits, *_), most = tags.get(BITS_PER_SAMPLE, (16,)), np.max(tags.get(MAX_SAMPLE_VALUE, 0))
    if bits < 16:
        return 2.0**bits - 1
    return float(most) if 0 < most < 65535 else None


def scaled(array: np.ndarray, values: Range) -> np.ndarray:
    """Bring two values to 0 and 1, and what lies outside to the nearer."""
    low, high = map(np.float32, values)
    return np.clip((array - low) / (high - low), 0, 1)


def _rgb(picture: Image.Image) -> Picture:
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    values = np.asarray(_reduced(picture.convert("RGB")), np.float32)
    values /= np.float32(255)
    return values


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error) or type(error).__name__).splitlines()[0]
