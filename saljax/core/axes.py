"""Which axis of an activation is which: the images, their places, or the channels.

Known of the image, and followed from there through every operation: a convolution says it of its
output, transposes move it, elementwise operations, norms and poolings leave it.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from saljax.core.operation import Operation

IMAGES, CHANNELS = "images", "channels"
_PART = "part of the channels"  # as of the heads of attention, or of the groups of a norm


class Tokens(NamedTuple):
    """An axis of all places.

    Attributes:
        grid: how many there are, row by row.
        before: how many others, such as a class token, come first.
    """

    grid: tuple[int, ...]
    before: int = 0


Axes = tuple[Any, ...]
"""For each axis `IMAGES`, `CHANNELS`, the number of the image's axis, `Tokens`, or None."""


def of_images(rank: int) -> Axes:
    """Of images (N, *spatial, C) with so many axes."""
    return (IMAGES, *range(rank - 2), CHANNELS)


def follow(
    operation: Operation,
    inputs: Sequence[Any],
    axes: Sequence[Axes | None],
    shapes: Sequence[tuple[int, ...]],
) -> list[Axes]:
    """Axes of what an operation gives.

    Args:
        operation: see `saljax.core.program`.
        inputs: what it takes, for their shapes.
        axes: of each input; None where it does not depend on the image.
        shapes: of the outputs.
    """
    settings = operation.settings
    if "rhs_spec" in dir(settings.get("dimension_numbers")):
        return [_convolved(settings["dimension_numbers"], axes, len(shapes[0]))]
    if "dimension_numbers" in settings and "preferred_element_type" in settings:
        return [_multiplied(settings["dimension_numbers"], inputs, axes)]
    known = [a for a in axes if a is not None]
    if len(known) == 1 and len(shapes) == 1:
        at = axes.index(known[0])
        moved = _moved(operation.kind, settings, known[0], inputs[at].shape, shapes[0])
        if moved is not None:
            return [moved]
    if operation.kind == "concatenate":
        return [_joined(settings["dimension"], inputs, axes)]
    given = [(a, x.shape) for a, x in zip(axes, inputs, strict=True) if a is not None]
    return [_as_before(given, shape) for shape in shapes]


def _convolved(numbers, axes, rank):
    """The kernel's window goes over the places, its filters are the channels."""
    if axes[0] is None or axes[1] is not None:
        return (None,) * rank
    batch, _, *before = numbers.lhs_spec
    places = [axes[0][axis] for axis in before]
    if len({place for place in places if isinstance(place, int)}) < len(places):
        places = range(len(places))
    found = [IMAGES if axes[0][batch] is None else axes[0][batch], CHANNELS, *places]
    return tuple(found[numbers.out_spec.index(axis)] for axis in range(rank))


def _multiplied(numbers, inputs, axes):
    """Batch axes, then the left free ones, then the right ones."""
    contracted, batch = numbers
    free, lost = [], []
    for x, a, summed, shared in zip(inputs, axes, contracted, batch, strict=True):
        a = a or (None,) * len(x.shape)
        free.append([a[i] for i in range(len(a)) if i not in (*summed, *shared)])
        lost.append([a[i] for i in summed])
    shared = [(axes[0] or axes[1])[i if axes[0] else j] for i, j in zip(*batch, strict=True)]
    if axes[0] is None or axes[1] is None:  # weights give new channels, or other places
        seen, weights = (1, 0) if axes[0] is None else (0, 1)
        kept, new = [*shared, *free[seen]], len(free[weights])
        label = lost[seen][0] if len(lost[seen]) == new == 1 else None
        if not isinstance(label, int) or label in kept:
            told = any(isinstance(label, Tokens) for label in lost[seen])
            taken = told or CHANNELS in kept or _PART in kept
            label = None if taken else CHANNELS if new == 1 else _PART
        free[weights] = [label] * new
    return (*shared, *free[0], *free[1])


def _moved(kind, settings, axes, before, shape):
    """Axes of what only moves, or is summed over some axes; None for other operations."""
    if kind == "transpose":
        return tuple(axes[i] for i in settings["permutation"])
    if kind == "squeeze":
        gone = {i % len(axes) for i in settings["dimensions"]}
        return tuple(a for i, a in enumerate(axes) if i not in gone)
    if kind == "broadcast_in_dim":
        found: list[Any] = [None] * len(shape)
        for a, size, i in zip(axes, before, settings["broadcast_dimensions"], strict=True):
            found[i] = a if shape[i] == size else None
        return tuple(found)
    if kind == "reshape":
        return reshaped(axes, before, shape)
    if kind.startswith(("reduce_", "arg")) and "axes" in settings:
        gone = {i % len(axes) for i in settings["axes"]}
        return tuple(a for i, a in enumerate(axes) if i not in gone)
    if kind in ("slice", "pad"):
        low = [p[0] for p in settings["padding_config"]] if kind == "pad" else None
        low = low or [-start for start in settings["start_indices"]]
        return tuple(map(_shifted, axes, before, shape, low))
    return None


def _shifted(label, size, now, by):
    """An axis with so many places more, or fewer, at its start."""
    if not isinstance(label, Tokens):
        return label
    shifted = Tokens(label.grid, label.before + by)
    whole = shifted.before >= 0 and now >= shifted.before + math.prod(label.grid)
    return shifted if whole and abs(now - size) >= abs(by) else None


def _joined(along, inputs, axes):
    """Of what is put one after the other, along an axis."""
    given = [(a, x.shape) for a, x in zip(axes, inputs, strict=True) if a is not None]
    found: list[Any] = list(_as_before(given, given[0][1]))
    before = 0
    for x, a in zip(inputs, axes, strict=True):
        label = a[along] if a is not None else None
        if isinstance(label, Tokens):
            found[along] = Tokens(label.grid, label.before + before)
        before += x.shape[along]
    return tuple(found)


def _as_before(given, shape):
    """What the inputs say of axes that stayed in place."""
    found: list[Any] = [None] * len(shape)
    for axes, before in given:
        if len(before) == len(shape):
            stays = [
                a if size == now or not isinstance(a, Tokens) else None
                for a, size, now in zip(axes, before, shape, strict=True)
            ]
            found = [
                s if f is None and s not in found else f for f, s in zip(found, stays, strict=True)
            ]
    return tuple(found)


def reshaped(axes: Axes, before: tuple[int, ...], shape: tuple[int, ...]) -> Axes:
    """Axes after a reshape: what is split or merged is told by the products of lengths."""
    found: list[Any] = []
    i = j = 0
    while i < len(before) or j < len(shape):
        old, new = before[i : i + 1], shape[j : j + 1]
        if old != new and old == (1,):
            i += 1
            continue
        if old != new and new == (1,):
            found.append(None)
            j += 1
            continue
        many, few = i + 1, j + 1
        while math.prod(before[i:many]) != math.prod(shape[j:few]):
            if math.prod(before[i:many]) < math.prod(shape[j:few]):
                many += 1
            else:
                few += 1
        found += _regrouped(axes[i:many], before[i:many], shape[j:few])
        i, j = many, few
    if IMAGES in axes and IMAGES not in found and 1 in shape and before[axes.index(IMAGES)] == 1:
        alone = [k for k, size in enumerate(shape) if size == 1 and found[k] is None]
        found = [IMAGES if [k] == alone[:1] else label for k, label in enumerate(found)]
    return tuple(found)


def _regrouped(axes, before, shape):
    """Axes of as many entries as those before, in the same order."""
    kept = [a for a, size in zip(axes, before, strict=True) if size > 1 or len(axes) == 1]
    if len(axes) == len(shape) == 1:
        return list(axes)
    first, rest = (kept[0] if kept else None), len(shape) - 1
    if len(shape) == 1:
        if len(kept) > 1 and kept == list(range(len(kept))):
            return [Tokens(tuple(size for size in before if size > 1))]
        if kept and all(a in (_PART, CHANNELS, None) for a in kept) and set(kept) != {None}:
            return [CHANNELS]
        if isinstance(first, int) and all(a is None for a in kept[1:]):
            return [first]  # the places inside a patch, put back
        return [kept[0] if len(kept) == 1 else None]
    if len(kept) != 1:
        return [None] * len(shape)
    if isinstance(first, Tokens) and first == Tokens(tuple(shape)):
        return list(range(len(shape)))
    if isinstance(first, int):
        return [first, *[None] * rest]  # patches, and the places inside of them
    return [_PART if first in (CHANNELS, _PART) else None] * len(shape)
