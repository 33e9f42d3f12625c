"""Annotations in the form of COCO: one JSON of images, annotations and categories.

Source: Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014, and cocodataset.org,
"Data format": `bbox` is x, y, width, height from the upper left corner of the picture, `iscrowd`
says that `segmentation` is of several objects, keypoints are triples of x, y and whether it was
annotated (1) and is seen (2).
"""

import functools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saljax.data.annotations import outlines
from saljax.data.annotations.example import Example, Keypoint, Mask, Object, from_sides

EXPECTED = "expected image_id, category_id and bbox [x, y, width, height] in pixels"


def files(path: Path) -> list[Path]:
    """Return the file, if it is of this form."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return []
    text = path.read_bytes()
    lists = all(re.search(rb'"%s"\s*:\s*\[' % word, text) for word in (b"images", b"annotations"))
    return [path] if lists else []


def read(path: Path) -> list[Example]:
    """Read all pictures of a file, those without objects as well.

    Masks are drawn when they are asked for. A picture without `file_name` has the name that its
    `coco_url` ends with.

    Raises:
        ValueError: the file is malformed; the message says where.
    """
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: is not JSON ({error})") from None
    try:
        images = {one["id"]: _image(one) for one in content["images"]}
        categories = {one["id"]: one for one in content.get("categories", ())}
        annotations = list(content["annotations"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError(
            f"{path}: is not quite COCO's form; expected images of id, file_name, height and "
            "width, categories of id and name, and annotations"
        ) from None
    objects: dict[Any, list[Object]] = {key: [] for key in images}
    for number, one in enumerate(annotations, start=1):
        try:
            objects[one["image_id"]].append(_object(one, images[one["image_id"]].size, categories))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ValueError(f"{path}: annotation {number}: {EXPECTED}") from None
    if annotations and all(max(one["bbox"]) <= 1 for one in annotations):
        raise ValueError(f"{path}: all boxes lie in 0..1; COCO's are in pixels")
    return [image._replace(objects=tuple(objects[key])) for key, image in images.items()]


def _image(one: Mapping[str, Any]) -> Example:
    name = one["file_name"] if "file_name" in one else one["coco_url"].rsplit("/", 1)[1]
    size = (int(one["height"]), int(one["width"])) if "height" in one else None
    return Example(name, size=size)


def _object(
    one: Mapping[str, Any], size: tuple[int, int] | None, categories: Mapping[Any, Mapping]
) -> Object:
    box = from_sides(*map(float, one["bbox"]))
    category = categories[one["category_id"]] if categories else {}
    segmentation = one.get("segmentation")
    return Object(
        label=category.get("name"),
        box=box,
        mask=functools.partial(_mask, segmentation, size) if segmentation else None,
        keypoints=_keypoints(category.get("keypoints", ()), one.get("keypoints", ())),
        crowd=bool(one.get("iscrowd", 0)),
    )


def _keypoints(names, flat) -> dict[str, Keypoint]:
    """Keypoints have the indices of the pixels that they lie in."""
    if not flat:
        return {}
    triples = np.reshape(np.asarray(flat, np.float64), (-1, 3)).tolist()
    return {
        name: Keypoint(x, y, v == 2) for name, (x, y, v) in zip(names, triples, strict=True) if v
    }


def _mask(segmentation: Any, size: tuple[int, int] | None) -> Mask:
    if isinstance(segmentation, dict):
        counts, (height, width) = segmentation["counts"], segmentation["size"]
        counts = outlines.run_lengths(counts) if isinstance(counts, str) else counts
        return outlines.of_runs(counts, (height, width))
    if size is None:
        raise ValueError("polygons need the height and width of their image")
    return outlines.of_polygons([_corners(flat) for flat in segmentation], size)


def _corners(flat: Sequence[float]) -> np.ndarray:
    return np.asarray(flat, np.float64).reshape(-1, 2)
