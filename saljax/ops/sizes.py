"""Lengths of the papers' 224 x 224 images in images of other sizes.

A length that nobody gave keeps its share of each axis, as if the image were made 224 x 224 first: a
window of 35 pixels is 15 of 96, and 4 of 28.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

SIDE = 224
"""Side in pixels of the images that the lengths of the papers are for."""


def lengths(length: float, shape: Sequence[int]) -> tuple[float, ...]:
    """A length of a 224 x 224 image on each axis of another.

    Args:
        length: in pixels of a 224 x 224 image.
        shape: spatial shape, of any rank.

    Returns:
        One length an axis, length n / 224.
    """
    return tuple(length * n / SIDE for n in shape)


def whole(length: float, shape: Sequence[int], least: int = 1) -> tuple[int, ...]:
    """As `lengths`, in whole pixels: rounded, halves up, and at least `least`."""
    return tuple(max(least, math.floor(side + 0.5)) for side in lengths(length, shape))


def or_default(defaults: Mapping[str, Any], **given: Any) -> list[tuple[Any, ...]]:
    """One number an axis of each length: what was given, or the default where that is None.

    Args:
        defaults: name -> one number an axis.
        given: name -> a number for all axes, one an axis, or None.

    Returns:
        In the order of `given`.

    Raises:
        ValueError: another number of them than axes.
    """
    return [
        defaults[name] if value is None else per_axis(value, len(defaults[name]), name)
        for name, value in given.items()
    ]


def per_axis(value: Any, rank: int, name: str) -> tuple[Any, ...]:
    """A number for all axes, or one an axis, as one an axis.

    Raises:
        ValueError: another number of them than axes; `name` says of what.
    """
    sides = tuple(value) if isinstance(value, list | tuple) else (value,) * rank
    if len(sides) != rank:
        raise ValueError(
            f"`{name}` must be one number, or one for each of the {rank} axes of the image; "
            f"got {value!r}."
        )
    return sides
