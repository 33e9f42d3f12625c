"""Annotated pictures of TensorFlow Datasets, by random access and without TensorFlow."""

import io
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from saljax.data import folders, labelled, tfds_sources
from saljax.data.annotations.example import Box, Example, Mask, Object
from saljax.data.folders import Picture

EDGES, FROM_ONE, FROM_ZERO = (0, -1), (-1, -1), (0, 0)
CONVENTIONS = {
    "coco": EDGES,
    "caltech_birds2011": EDGES,
    "voc": FROM_ONE,
    "cars196": FROM_ONE,
    "oxford_iiit_pet": FROM_ONE,
    "stanford_dogs": FROM_ZERO,
}
"""What is added to low and high corners that these data sets divide by the sides of the picture.

They divide what they are given: COCO and CUB edges; Pascal VOC and Oxford's pets corners inside
that count from 1; ImageNet, of which Stanford Dogs is a part, corners inside that count from 0.
Stanford Cars does not say: that it counts from 1, as the MATLAB that it was made with, is our
reading."""
BOXES = "objects", "bbox", "head_bbox"
"""Features that have boxes."""
DECIMALS = 2
"""Of corners in pixels: as many as COCO has; shares are of 32 bits, which leave more uncertain."""
FOREGROUND = {"caltech_birds2011": lambda mask: mask > 0, "oxford_iiit_pet": lambda mask: mask == 1}
"""Pixels of the object in `segmentation_mask`: of any annotator's mark, or the trimap's 1."""


class Annotated(NamedTuple):
    """Annotated pictures that are read when they are asked for.

    Attributes:
        number: of pictures.
        example: from its place among them to its annotations.
        picture: from its place to the picture; raises `folders.UnreadableImage`.
        content: from its place to the bytes of its file.
        has_boxes: there are any; else classes alone.
    """

    number: int
    example: Callable[[int], Example]
    picture: Callable[[int], Picture]
    content: Callable[[int], bytes]
    has_boxes: bool


def named(text: str) -> tuple[str, str | None]:
    """`voc/2007:test` is the split test of voc/2007; `cars196:2.1.0` a version, and no split."""
    name, colon, split = text.rpartition(":")
    return (text, None) if not colon or re.fullmatch(r"[\d.*]*", split) else (name, split)


def read(name: str, split: str | None = None) -> Annotated:
    """Open the annotated pictures of a data set that was prepared for random access.

    Args:
        name: as `tensorflow_datasets.data_source` takes it, such as `voc/2007`: of `CONVENTIONS`,
            or a data set of pictures with a `label` and without boxes, such as `imagenet2012`.
        split: None for the first of `labelled.HELD_OUT` there is.

    Returns:
        The pictures, by the names of their files if these are known, else `NAME SPLIT NUMBER`.

    Raises:
        ValueError: it is none of these data sets, has no such split, or cannot be opened, see
            `tfds_sources.read_tfds`.
    """
    family = name.split("/")[0].split(":")[0]
    splits = tfds_sources.opened(name, "image")
    chosen = split or labelled.first_held_out(splits)
    if chosen not in splits:
        what = f"split {split}" if split else "split to test on"
        raise ValueError(f"tfds:{name} has no {what}; it has {', '.join(splits)}")
    source = splits[chosen]
    features = source.dataset_info.features
    has_boxes = any(key in features for key in BOXES)
    if has_boxes and family not in CONVENTIONS:
        known = ", ".join(CONVENTIONS)
        raise ValueError(f"tfds:{name}: what its boxes mean is not known here; of {known} it is")
    if "image" not in features or not (
        has_boxes or ("label" in features and hasattr(features["label"], "names"))
    ):
        raise ValueError(f"tfds:{name} is not made of pictures with boxes or classes")

    def example(index: int) -> Example:
        return _example(source[index], features, family, f"{chosen} {index}")

    def picture(index: int) -> Picture:
        return folders.read_image(io.BytesIO(content(index)))

    def content(index: int) -> bytes:
        return source[index]["image"]

    return Annotated(len(source), example, picture, content, has_boxes)


def _example(one: Mapping[str, Any], features: Any, family: str, place: str) -> Example:
    with Image.open(io.BytesIO(one["image"])) as opened:
        width, height = opened.size
    size = height, width
    file = one.get("image/filename", one.get("file_name", b""))
    name = file.decode() if isinstance(file, bytes) else str(file)
    label = None
    if "label" in features and int(one["label"]) >= 0:  # -1 where nobody may know
        label = features["label"].names[int(one["label"])]
    if "objects" in features:
        found = _objects(one["objects"], features["objects"], family, size, label)
    else:
        share = one.get("bbox", one.get("head_bbox"))
        box = None if share is None or not np.any(share) else _box(share, family, size)
        found = [Object(label, box, _mask(one, family))]
    return Example(name or f"{family} {place}", tuple(found), size)


def _objects(
    objects: Mapping[str, Any],
    features: Any,
    family: str,
    size: tuple[int, int],
    label: str | None,
) -> list[Object]:
    number = len(objects["bbox"])
    flags = {key: objects.get(key, [False] * number) for key in ("is_difficult", "is_crowd")}
    if "label" in objects:
        labels = [features["label"].names[int(index)] for index in objects["label"]]
    else:
        labels = [label] * number
    each = zip(labels, objects["bbox"], *flags.values(), strict=True)
    return [
        Object(own, _box(share, family, size), difficult=bool(difficult), crowd=bool(crowd))
        for own, share, difficult, crowd in each
    ]


def _box(share: np.ndarray, family: str, size: tuple[int, int]) -> Box:
    """Of y1, x1, y2, x2 as shares of the sides."""
    low, high = CONVENTIONS[family]
    y1, x1, y2, x2 = np.asarray(share, np.float64) * (size * 2)
    return np.round([x1 + low, y1 + low, x2 + high, y2 + high], DECIMALS)


def _mask(one: Mapping[str, Any], family: str) -> Callable[[], Mask] | None:
    values = one.get("segmentation_mask")
    if values is None or family not in FOREGROUND:
        return None
    return lambda: FOREGROUND[family](np.asarray(values)[..., 0])
