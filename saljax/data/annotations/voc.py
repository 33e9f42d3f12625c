"""Annotations in the form of Pascal VOC: one XML a picture, as ImageNet has them too.

Source: Everingham et al., The Pascal Visual Object Classes (VOC) Challenge, IJCV 2010, and its
development kit: the first pixel is (1, 1) and corners are inside; objects marked `difficult` are
not judged by; the masks of objects are in `SegmentationObject/NAME.png`, where pixels have the
number of the object in the XML. ImageNet's boxes have the same form, but its first pixel is 0:
corners of 0 are common there.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from saljax.data.annotations.example import Example, Mask, Object

FOLDERS = ("Annotations", "Annotation", "annotations", "xmls")
"""Where data sets of this form keep their XML; in other folders it may lie anywhere."""
CORNERS = ("xmin", "ymin", "xmax", "ymax")
WORDNET_ID = re.compile(r"n\d{8}")


def files(path: Path) -> list[Path]:
    """Return the file, or those of a folder and the folders in it, that are of this form.

    Files end in .xml, those of Stanford Dogs have no ending; after them come those of masks.
    """
    found = _annotations(path)
    return found + [masks for one in found if (masks := _masks(one)).is_file()]


def _annotations(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".xml" and _is_annotation(path) else []
    inside = _place(path)
    found = sorted(one for one in inside.rglob("*") if one.suffix.lower() == ".xml")
    if not found:
        plain = (one for one in inside.rglob("*") if not one.suffix and one.is_file())
        found = sorted(one for one in plain if _is_annotation(one))
    return found if found and _is_annotation(found[0]) else []


def read(path: Path) -> list[Example]:
    """Read all pictures of a file or folder.

    Corners count from 1, but those of ImageNet (its database, or WordNet ids for names) and all of
    another database than VOC with a corner below 1: these are left as they are. The latter is our
    choice, for what other programs write.

    Raises:
        ValueError: a file is malformed; the message says which.
    """
    top = _place(path) if path.is_dir() else path.parent
    found = [_read(one, top) for one in _annotations(path)]
    from_zero = {
        database
        for database, one in found
        if _of_imagenet(database) or (_has_zero(one) and "VOC" not in database)
    }
    return [
        one if database in from_zero or _has_wordnet_ids(one) else _from_one(one)
        for database, one in found
    ]


def _place(folder: Path) -> Path:
    return next((folder / name for name in FOLDERS if (folder / name).is_dir()), folder)


def _masks(annotation: Path) -> Path:
    """Where the masks of its objects are, if there are any."""
    return annotation.parent.parent / "SegmentationObject" / f"{annotation.stem}.png"


def _is_annotation(path: Path) -> bool:
    with open(path, "rb") as content:
        return b"<annotation" in content.read(500)


def _read(path: Path, top: Path) -> tuple[str, Example]:
    """The database and the example, with corners as they are."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: is not XML ({error})") from None
    name = root.findtext("filename", "").strip()
    name = path.stem if name in ("", "%s") else name  # as some of ImageNet's have it
    masks = _masks(path)
    has_masks = root.findtext("segmented") == "1" and masks.is_file()
    try:
        objects = [
            one._replace(mask=functools.partial(_mask, masks, number)) if has_masks else one
            for number, one in enumerate(_objects(root), start=1)
        ]
        size = root.find("size")
        sides = None if size is None else (_number(size, "height"), _number(size, "width"))
    except (TypeError, ValueError):
        raise ValueError(
            f"{path}: expected object, with name and bndbox of {', '.join(CORNERS)}, and size of "
            "width and height"
        ) from None
    image = (path.parent.relative_to(top) / name).as_posix()
    known = None if sides is None or 0 in sides else sides
    return root.findtext("source/database", "").strip(), Example(image, tuple(objects), known)


def _objects(root: ElementTree.Element) -> Iterator[Object]:
    for one in root.iter("object"):
        corners = one.find("bndbox")
        name = one.findtext("name", "").strip()
        if corners is None or not name:
            raise ValueError
        box = np.asarray([float(corners.findtext(corner, "")) for corner in CORNERS])
        yield Object(name, box, difficult=one.findtext("difficult", "0").strip() == "1")


def _number(size: ElementTree.Element, name: str) -> int:
    return int(float(size.findtext(name, "")))


def _of_imagenet(database: str) -> bool:
    return database.upper().startswith(("ILSVRC", "IMAGENET"))


def _has_wordnet_ids(example: Example) -> bool:
    return any(WORDNET_ID.fullmatch(one.label or "") for one in example.objects)


def _has_zero(example: Example) -> bool:
    return any(one.box is not None and one.box.min() < 1 for one in example.objects)


def _from_one(example: Example) -> Example:
    moved = (o._replace(box=None if o.box is None else o.box - 1) for o in example.objects)
    return example._replace(objects=tuple(moved))


def _mask(path: Path, number: int) -> Mask:
    with Image.open(path) as picture:  # its palette is for people; its indices are the numbers
        return np.asarray(picture) == number
