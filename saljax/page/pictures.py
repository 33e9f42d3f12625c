"""Small pictures of a page: each image once, and its maps side by side in gray."""

import io
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from saljax.data.files import UnreadableImage
from saljax.data.folders import resample
from saljax.page.run import Run, signed
from saljax.report.panels import scale_shown
from saljax.runs import inputs

PHOTO, MAP = 256, 128
"""Longest sides in pixels. Our choice."""
QUALITY = 85


def photo(
    run: Run, place: int, data: Path, contents: inputs.Contents = MappingProxyType({})
) -> bytes | None:
    """What the classifier saw of an image, as JPEG; None where it is not there any more.

    Args:
        run: the evaluation.
        place: of the image in its record.
        data: folder of the images.
        contents: of those that are no files in it.
    """
    sees, one = run.record["settings"]["sees"], run.record["images"][place]
    framing = tuple(sees["input_shape"]), sees["resize"], sees["crop"]
    values, padded = run.record["settings"]["range"], sees.get("padded", False)
    try:
        path = data / one["image"]
        how = *framing, values and tuple(values), padded, contents.get(path)
        shown = inputs.read(path, *how).shown
    except (OSError, UnreadableImage):
        return None
    return _jpeg(_within(np.asarray(shown), PHOTO))


def maps(run: Run, place: int, signs: Sequence[bool]) -> bytes | None:
    """All maps of an image in one JPEG, a method beside the other; None where there is none.

    Black is the lowest value and white the highest that is shown; of a signed map zero is the gray
    in the middle. What has no map is black.

    Args:
        run: the evaluation.
        place: of the image in its record.
        signs: of each method whether its maps are shown around zero.
    """
    found: list[Any] = [run.maps[name](place) for name in run.methods]
    there = next((one for one in found if one is not None), None)
    if there is None:
        return None
    empty, tiles = np.zeros(_within(there, MAP).shape), []
    for sign, one in zip(signs, found, strict=True):
        if one is None:
            tiles.append(empty)
            continue
        one = np.asarray(one, np.float32)
        stretched = scale_shown(one, sign)(one)
        tiles.append(_within((stretched + 1) / 2 if sign else stretched, MAP))
    return _jpeg(np.concatenate(tiles, axis=1))


def are_signed(run: Run, name: str) -> bool:
    """Whether the maps of a method are shown around zero, by its record or by the first of them."""
    known = signed(run.record["settings"]["methods"][name])
    if known is not None:
        return known
    found = (run.maps[name](place) for place in range(len(run.record["images"])))
    first = next((one for one in found if one is not None), None)
    return first is not None and scale_shown(np.asarray(first, np.float32)).signed


def _within(picture: np.ndarray, side: int) -> np.ndarray:
    """Shrink to a longest side."""
    scale = side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    rows, columns = (max(1, round(length * scale)) for length in picture.shape[:2])
    return resample(picture, (rows, columns))


def _jpeg(picture: np.ndarray) -> bytes:
    pixels, buffer = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8), io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=QUALITY)
    return buffer.getvalue()
