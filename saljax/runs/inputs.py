"""From paths on a command line to arrays a classifier takes."""

import io
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from saljax.data import files, folders, medical, volume_files
from saljax.models.zoo import ModelInfo
from saljax.runs import store

SHOWN = 768
"""Longest side, in pixels, of the picture kept to be shown: memory, and enough for a figure."""
STDIN = Path("-")
"""Stands for what comes on standard input."""
NUMPY = b"\x93NUMPY"
"""What a .npy file begins with."""
Say = Callable[[Path, str], None]
"""Told what is to be said of a file or folder."""
Contents = Mapping[Path, Callable[[], bytes]]
"""Path of a picture that is no file -> what gives its bytes."""


class Input(NamedTuple):
    """One image, twice.

    Attributes:
        image: (*spatial, C), what the classifier sees.
        whole: all that is in the file, finer than `image` where the file is.
        size: spatial shape of the file.
        values: the values of the file that became 0 and 1, where it has more than 8 bits.
        guessed: what `values` were guessed to be, in words; "" where they were known.
        edges: of what the classifier sees, left, upper, right and lower, as shares of the file's
            sides; None of an array.
    """

    image: np.ndarray
    whole: np.ndarray
    size: tuple[int, ...]
    values: files.Range | None = None
    guessed: str = ""
    edges: folders.Edges | None = None

    @property
    def shown(self) -> np.ndarray:
        """Of `whole` the part that the classifier sees."""
        place = self.place
        return self.whole if place is None else folders.cut(self.whole, place)

    @property
    def place(self) -> folders.Edges | None:
        """Edges of that part in pixels of `whole`."""
        return self.edges and _times(self.edges, self.whole.shape)

    @property
    def crop(self) -> folders.Edges | None:
        """Edges of that part in pixels of the file."""
        return self.edges and _times(self.edges, self.size)


class Framing(NamedTuple):
    """How pictures are framed for a classifier, see `folders.prepare`; `resize` None: none are."""

    resize: int | None
    crop: int | None
    padded: bool = False

    @property
    def way(self) -> str:
        """As `framing` has it."""
        return "letterbox" if self.padded else "none" if self.crop is None else "center"

    def record(self) -> dict[str, Any]:
        """What a record says of it."""
        short_side = {} if self.crop is None else {"short_side": self.resize}
        return {} if self.resize is None else {"framing": self.way, **short_side}


def framing(about: ModelInfo, way: str | None = None, resize: int | None = None) -> Framing:
    """How a classifier's pictures are framed, its own way if nothing else is asked for.

    Args:
        about: the classifier.
        way: "center": short side to `resize`, the middle cut out; "none": squeezed into a square;
            "letterbox": the whole picture in its shape, black beside it.
        resize: pixels of the short side before the middle is cut out.

    Raises:
        ValueError: it takes no pictures; or `resize` leaves too little to cut out, or nothing is.
    """
    if way is None and resize is None:
        return Framing(about.resize, about.crop)
    if about.resize is None:
        raise ValueError(f"--crop and --short-side are for pictures; {about.name} takes arrays")
    side = about.crop or about.resize
    way = way or ("center" if about.crop else "none")
    if way != "center":
        if resize is not None:
            raise ValueError("--short-side is that of what is cut from: it goes with --crop center")
        return Framing(side, None, way == "letterbox")
    resize = resize or about.resize
    if resize < side:
        raise ValueError(
            f"--short-side {resize}: {about.name} sees {side} x {side}, at least {side} are needed"
        )
    return Framing(resize, side)


def find(paths: Iterable[Path], complain: Say, note: Say) -> list[Path]:
    """Replace folders by the pictures directly inside them, without those that saljax drew.

    Args:
        paths: files and folders.
        complain: called with each folder that has no pictures.
        note: called with each folder of which something is passed over.

    Returns:
        Files, which need not exist.
    """
    found = []
    for path in paths:
        try:
            found += inside(path, note) if path.is_dir() else [path]
        except folders.UnreadableImage as error:
            complain(path, str(error))
        except OSError as error:
            complain(path, (error.strerror or str(error)).lower())
    return found


def inside(folder: Path, note: Say) -> list[Path]:
    """Find the pictures directly inside a folder, without those that saljax drew.

    Args:
        folder: an existing directory.
        note: called with the folder and what is passed over.

    Returns:
        Paths, at least one.

    Raises:
        UnreadableImage: there is no picture.
    """
    pictures = folders.list_images(folder)
    drawn = [path.name for path in pictures if store.is_figure(path)]
    if len(drawn) == len(pictures):
        raise folders.UnreadableImage("holds only pictures that saljax drew; nothing to explain")
    if drawn:
        note(folder, f"passed over {len(drawn)} that saljax drew ({folders.some(drawn)})")
    if others := folders.unread(folder):
        note(folder, f"passed over {others}")
    return [path for path in pictures if path.name not in drawn]


def read(
    path: Path,
    input_shape: tuple[int, ...],
    resize: int | None,
    crop: int | None,
    values: files.Range | None = None,
    padded: bool = False,
    content: Callable[[], bytes] | None = None,
) -> Input:
    """Read a picture, or a .npy or NIfTI file, for a classifier.

    Args:
        path: file, or `STDIN`.
        input_shape: (*spatial, C) the classifier was made for; a .npy file must have it exactly.
        resize: as `folders.prepare`; None for a classifier that takes no pictures.
        crop: as `folders.prepare`.
        values: see `files.read_image`.
        padded: as `folders.prepare`.
        content: gives what is in the file, where there is none on disk.

    Returns:
        The image as the classifier sees it and as people do.

    Raises:
        UnreadableImage: not readable, or not an image for this classifier.
    """
    given = io.BytesIO(content()) if content else _stdin() if path == STDIN else path
    if medical.is_nifti(path):
        array, values, guessed = volume_files.read(path, values)
        array, said = _of_shape(array, input_shape), _said(values, guessed)
        return Input(array, array, array.shape[:-1], values, said)
    if path.suffix == ".npy" or (isinstance(given, io.BytesIO) and _is_array(given)):
        array = _of_shape(files.read_array(given, values), input_shape)
        return Input(array, array, array.shape[:-1], values)
    opened = files.open_image(given, values)
    if resize is None or input_shape[-1] != 3:
        raise folders.UnreadableImage(
            f"is a picture with 3 channels; the model takes .npy files of shape {input_shape}"
        )
    whole, size = opened.image, opened.image.shape[:2]
    scale = SHOWN / max(size)
    if scale < 1:
        height, width = (max(1, round(length * scale)) for length in size)
        whole = folders.resample(whole, (height, width))
    image = folders.prepare(opened.image, resize, crop, padded)
    edges = _times(folders.frame(size, resize, crop, padded), [1 / length for length in size])
    guessed = _said(opened.values, opened.guessed)
    return Input(image, whole, opened.size, opened.values, guessed, edges)


def _of_shape(array: np.ndarray, input_shape: tuple[int, ...]) -> np.ndarray:
    if array.shape != input_shape:
        raise folders.UnreadableImage(
            f"has shape {array.shape}; the model takes {input_shape}, channels last"
        )
    return array


def _said(values: files.Range | None, guessed: bool) -> str:
    """What was guessed of values."""
    if values is None or not guessed:
        return ""
    low, high = values
    return f"black and white taken for {low:g} and {high:g}; --range LOW,HIGH says otherwise"


def _times(edges: folders.Edges, lengths: Sequence[float]) -> folders.Edges:
    """Edges in another unit: `lengths` are the height and width of one of the old."""
    left, top, right, bottom = edges
    height, width = lengths[:2]
    return left * width, top * height, right * width, bottom * height


def _stdin() -> io.BytesIO:
    content = sys.stdin.buffer.read()
    if not content:
        raise folders.UnreadableImage("nothing came on standard input")
    return io.BytesIO(content)


def _is_array(content: io.BytesIO) -> bool:
    return content.getbuffer()[: len(NUMPY)] == NUMPY
