"""One annotated picture, whatever form it was annotated in."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

Mask = Bool[np.ndarray, "height width"]
Box = Float[np.ndarray, "4"]


class Keypoint(NamedTuple):
    """A named place of an object, in pixels: (0, 0) is the center of the first."""

    x: float
    y: float
    visible: bool = True


class Object(NamedTuple):
    """An object in a picture, or a class of all of it.

    Attributes:
        label: class by index, name or WordNet id; None where nobody says.
        box: (4,) x1, y1, x2, y2 in pixels of the file: the first pixel is 0, corners are inside, so
            its edges lie at x1 and x2 + 1. None where only the class is known, or a mask.
        mask: draws the pixels of the object when it is called.
        keypoints: name -> place, of those that were annotated.
        difficult: not to be judged by, as Pascal VOC says.
        crowd: several objects in one outline, as COCO says.
    """

    label: str | None
    box: Box | None = None
    mask: Callable[[], Mask] | None = None
    keypoints: Mapping[str, Keypoint] = {}
    difficult: bool = False
    crowd: bool = False


class Example(NamedTuple):
    """An annotated picture.

    Attributes:
        image: its name, as the annotations have it, with or without folders or suffix.
        objects: what is in it.
        size: (height, width) that it was annotated at; None where nobody says.
        split: "train" or "test", where the data set says.
    """

    image: str
    objects: tuple[Object, ...] = ()
    size: tuple[int, int] | None = None
    split: str | None = None


Masks = tuple[Callable[[], Mask] | None, ...]
OfClass = tuple[str, str | None, np.ndarray, tuple[int, int] | None, Masks]


def by_class(examples: Iterable[Example]) -> Iterator[OfClass]:
    """Boxes of each class of each picture that are to be judged by.

    Crowds are left out, as COCO's protocol has it, and classes of which a picture has nothing but
    difficult objects; where there are others of the class difficult ones stay, as in the pointing
    game on Pascal VOC.

    Args:
        examples: an object with a mask and no box has the smallest box around its mask.

    Yields:
        Name of the picture, class, corners (B, 4), size, and for each box what draws its mask; of
        pictures with objects.
    """
    for example in examples:
        of_class: dict[str | None, list[Object]] = {}
        for one in example.objects:
            if not one.crowd:
                of_class.setdefault(one.label, []).append(one)
        for label, objects in of_class.items():
            if not all(one.difficult for one in objects):
                found = [(box, o.mask) for o in objects if (box := _box(o)) is not None]
                corners = np.reshape([box for box, _ in found], (-1, 4))
                yield example.image, label, corners, example.size, tuple(m for _, m in found)


def from_sides(x: float, y: float, width: float, height: float) -> Box:
    """The box of a low edge and lengths, edges lying between pixels: corners inside."""
    return np.asarray([x, y, x + width - 1, y + height - 1])


def around(mask: Mask) -> Box | None:
    """Return the smallest box with all of a mask; None where there is nothing of it."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return np.asarray([columns[0], rows[0], columns[-1], rows[-1]], np.float64)


def _box(one: Object) -> Box | None:
    if one.box is not None or one.mask is None:
        return one.box
    return around(one.mask())
