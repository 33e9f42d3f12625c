"""From paths on a command line to arrays a classifier takes."""

import io
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from saljax.data import files, folders
from saljax.runs import store

SHOWN = 512
"""Longest side, in pixels, of the picture kept to be shown: memory, and enough for a figure."""
STDIN = Path("-")
"""Stands for what comes on standard input."""
NUMPY = b"\x93NUMPY"
"""What a .npy file begins with."""
Say = Callable[[Path, str], None]
"""Told what is to be said of a file or folder."""


class Input(NamedTuple):
    """One image, twice.

    Attributes:
        image: (*spatial, C), what the classifier sees.
        shown: the same part of the world as the file had it, finer where the file was.
        size: spatial shape of the file.
        values: the values of the file that became 0 and 1, where it has more than 8 bits.
        guessed: what `values` were guessed to be, in words; "" where they were known.
    """

    image: np.ndarray
    shown: np.ndarray
    size: tuple[int, ...]
    values: files.Range | None = None
    guessed: str = ""


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
) -> Input:
    """Read a picture, or a .npy file, for a classifier.

    Args:
        path: file, or `STDIN`.
        input_shape: (*spatial, C) the classifier was made for; a .npy file must have it exactly.
        resize: as `folders.prepare`; None for a classifier that takes no pictures.
        crop: as `folders.prepare`.
        values: see `files.read_image`.

    Returns:
        The image as the classifier sees it and as people do.

    Raises:
        UnreadableImage: not readable, or not an image for this classifier.
    """
    content = _stdin() if path == STDIN else path
    if path.suffix == ".npy" or (isinstance(content, io.BytesIO) and _is_array(content)):
        array = files.read_array(content, values)
        if array.shape != input_shape:
            raise folders.UnreadableImage(
                f"has shape {array.shape}; the model takes {input_shape}, channels last"
            )
        return Input(array, array, array.shape[:-1], values)
    opened = files.open_image(content, values)
    if resize is None or input_shape[-1] != 3:
        raise folders.UnreadableImage(
            f"is a picture with 3 channels; the model takes .npy files of shape {input_shape}"
        )
    seen = folders.seen(opened.image, resize, crop)
    scale = SHOWN / max(seen.shape[:2])
    if scale < 1:
        height, width = (max(1, round(length * scale)) for length in seen.shape[:2])
        seen = folders.resample(seen, (height, width))
    image = folders.prepare(opened.image, resize, crop)
    guessed = "black and white taken for {:g} and {:g}; --range LOW,HIGH says otherwise"
    guessed = guessed.format(*opened.values) if opened.values and opened.guessed else ""
    return Input(image, np.array(seen), opened.size, opened.values, guessed)


def _stdin() -> io.BytesIO:
    content = sys.stdin.buffer.read()
    if not content:
        raise folders.UnreadableImage("nothing came on standard input")
    return io.BytesIO(content)


def _is_array(content: io.BytesIO) -> bool:
    return content.getbuffer()[: len(NUMPY)] == NUMPY
