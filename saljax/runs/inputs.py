"""From paths on a command line to arrays a classifier takes."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from saljax.data import folders
from saljax.runs import store

SHOWN = 512
"""Longest side, in pixels, of the picture kept to be shown: memory, and enough for a figure."""


class Input(NamedTuple):
    """One image, twice.

    Attributes:
        image: (*spatial, C), what the classifier sees.
        shown: the same part of the world as the file had it, finer where the file was.
        size: spatial shape of the file.
    """

    image: np.ndarray
    shown: np.ndarray
    size: tuple[int, ...]


def find(paths: Iterable[Path], complain: Callable[[Path, str], None]) -> list[Path]:
    """Replace folders by the pictures directly inside them, without maps that were written there.

    Args:
        paths: files and folders.
        complain: called with each folder that has no pictures.

    Returns:
        Files, which need not exist.
    """
    found = []
    for path in paths:
        try:
            inside = folders.list_images(path) if path.is_dir() else [path]
            found += [one for one in inside if one == path or not store.is_figure(one)]
        except (folders.UnreadableImage, OSError) as error:
            complain(path, str(error))
    return found


def read(path: Path, input_shape: tuple[int, ...], resize: int | None, crop: int | None) -> Input:
    """Read a picture, or a .npy file, for a classifier.

    Args:
        path: file.
        input_shape: (*spatial, C) the classifier was made for; a .npy file must have it exactly.
        resize: as `folders.prepare`; None for a classifier that takes no pictures.
        crop: as `folders.prepare`.

    Returns:
        The image as the classifier sees it and as people do.

    Raises:
        UnreadableImage: not readable, or not an image for this classifier.
    """
    if path.suffix == ".npy":
        array = folders.read_array(path)
        if array.shape != input_shape:
            raise folders.UnreadableImage(
                f"has shape {array.shape}; the model takes {input_shape}, channels last"
            )
        return Input(array, array, array.shape[:-1])
    picture = folders.read_image(path)
    if resize is None or input_shape[-1] != 3:
        raise folders.UnreadableImage(
            f"is a picture with 3 channels; the model takes .npy files of shape {input_shape}"
        )
    seen = folders.seen(picture, resize, crop)
    scale = SHOWN / max(seen.shape[:2])
    if scale < 1:
        height, width = (max(1, round(length * scale)) for length in seen.shape[:2])
        seen = folders.resample(seen, (height, width))
    return Input(folders.prepare(picture, resize, crop), np.array(seen), picture.shape[:2])
