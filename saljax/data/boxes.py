"""Boxes around the objects of photographs: reading them, and where they lie for a classifier."""

import csv
import io
import json
import operator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from saljax.data.folders import resized_and_start

Corners = Float[np.ndarray, "boxes 4"]
HEADER = ("image", "x1", "y1", "x2", "y2")


class Annotation(NamedTuple):
    """Boxes of one class in one picture.

    Attributes:
        file: name of the picture, relative to its folder.
        label: class by index, name or WordNet id; None where the file of boxes does not say.
        corners: (B, 4), x1, y1, x2, y2 in pixels of the file, corners inside, as they were given.
        size: (height, width) that they were given for; None where the file does not say.
    """

    file: str
    label: str | None
    corners: Corners
    size: tuple[int, int] | None = None


def read(path: Path) -> list[Annotation]:
    """Read a file of boxes.

    Two forms are known:

    - JSON: a list of `{"file": NAME, "boxes": [[x1, y1, x2, y2], ...]}`; `"label"` or `"wnid"`
      name the class, `"width"` and `"height"` the size of the picture; other entries are ignored.
    - CSV: a line `image,x1,y1,x2,y2` or `image,x1,y1,x2,y2,label`, then one line a box.

    Args:
        path: ends in .json or .csv.

    Returns:
        One annotation for each picture and class, in order of their first boxes.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is of no such form; the message says which entry.
    """
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not text in UTF-8") from None
    if path.suffix.lower() == ".json":
        found = _json(path, text)
    elif path.suffix.lower() == ".csv":
        found = _csv(path, text)
    else:
        raise ValueError(f"{path}: boxes are read from a file .json or .csv")
    together: dict[tuple[str, str | None], Annotation] = {}
    for one in found:
        key = one.file, one.label
        if key in together:
            one = one._replace(corners=np.concatenate([together[key].corners, one.corners]))
        together[key] = one
    return list(together.values())


def wrong(corners: Corners, size: tuple[int, int]) -> Bool[np.ndarray, " boxes"]:
    """Boxes that lie outside the picture, or have no area, or are not numbers.

    Args:
        corners: (B, 4), in pixels of the file.
        size: its height and width.

    Returns:
        (B,).
    """
    inside = _clipped(corners, size)
    return ~np.isfinite(corners).all(axis=1) | ~(
        (inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1])
    )


def follow(
    corners: Corners, size: tuple[int, int], resize: int, crop: int | None
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

    Returns:
        Those of which the crop leaves something, first and last pixels of the prepared picture.
    """
    side = crop or resize
    begins, scales = [], []
    for length in size[::-1]:
        resized, begin = (
            (resize, 0) if crop is None else resized_and_start(length, min(size), resize, crop)
        )
        begins.append(begin)
        scales.append(resized / length)
    low, high = (
        np.clip(edges * np.asarray(scales) - np.asarray(begins), 0, side)
        for edges in (corners[:, :2], corners[:, 2:] + 1)
    )
    first = np.minimum(np.ceil(low - 0.5), side - 1)
    last = np.maximum(np.ceil(high - 0.5) - 1, first)
    return np.concatenate([first, last], axis=1)[(high > low).all(axis=1)].astype(np.float32)


def padded(corners: Corners | list, number: int) -> Float[np.ndarray, "number 4"]:
    """Boxes and rows of NaN, (number, 4) in all, so that all images have as many."""
    filled = np.full((number, 4), np.nan, np.float32)
    filled[: len(corners)] = np.reshape(np.asarray(corners, np.float32), (-1, 4))
    return filled


def _clipped(corners: Corners, size: tuple[int, int]) -> Corners:
    """The last pixel of a row of n has the index n - 1."""
    height, width = size
    return np.clip(corners, 0, np.asarray([width - 1, height - 1] * 2, corners.dtype))


def _json(path: Path, text: str) -> list[Annotation]:
    try:
        records = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: is not JSON ({error})") from None
    if not isinstance(records, list):
        raise ValueError(f"{path}: expected a list of records with a file and boxes")
    return [_record(f"{path}: record {n}", record) for n, record in enumerate(records, start=1)]


def _record(where: str, record: Any) -> Annotation:
    if not isinstance(record, dict) or not isinstance(record.get("file"), str):
        raise ValueError(f'{where}: expected {{"file": NAME, "boxes": [[x1, y1, x2, y2], ...]}}')
    try:
        corners = np.asarray([np.asarray(box, np.float64).reshape(4) for box in record["boxes"]])
        size = None
        if "width" in record:
            size = operator.index(record["height"]), operator.index(record["width"])
    except (TypeError, ValueError, KeyError):
        raise ValueError(
            f'{where}: "boxes" must be a list of x1, y1, x2, y2, all numbers, and "width" and '
            '"height" whole numbers, if they are there'
        ) from None
    label = record.get("label", record.get("wnid"))
    label = None if label is None else str(label)
    return Annotation(record["file"], label, corners.reshape(-1, 4), size)


def _csv(path: Path, text: str) -> list[Annotation]:
    lines = csv.DictReader(io.StringIO(text))
    if not set(HEADER) <= set(lines.fieldnames or ()):
        raise ValueError(f"{path}: the first line must name the columns {','.join(HEADER)}[,label]")
    found = []
    try:
        for line in lines:
            corners = np.asarray([[float(line[name]) for name in HEADER[1:]]])
            if not line["image"]:
                raise ValueError
            found.append(Annotation(line["image"], line.get("label") or None, corners))
    except (TypeError, ValueError, csv.Error):
        raise ValueError(
            f"{path}: line {lines.line_num}: expected a name and x1, y1, x2 and y2, all numbers"
        ) from None
    return found
