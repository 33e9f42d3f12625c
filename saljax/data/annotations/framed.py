"""Where what is annotated in a picture lies for a classifier."""

import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool

from saljax.data import boxes
from saljax.data.annotations.example import Example, Keypoint, Mask, Object

Seen = Bool[np.ndarray, "side side"]


def framed(
    example: Example,
    size: tuple[int, int],
    resize: int,
    crop: int | None = None,
    padded: bool = False,
) -> Example:
    """Move the annotations of a picture like `folders.prepare` its pixels.

    Boxes as `boxes.follow` says. A pixel of the prepared picture is in a mask when its center lies
    in a pixel of the file that is: of a box and of the mask of its pixels the same ones. Keypoints
    keep their place in the picture, to fractions of a pixel.

    Args:
        example: an annotated picture.
        size: height and width of its file.
        resize: as in `prepare`.
        crop: as in `prepare`.
        padded: as in `prepare`.

    Returns:
        The example in pixels of the prepared picture. Keypoints outside of it are left out, and so
        are objects whose box is.

    Raises:
        ValueError: it was annotated at another size; or a mask has another one, when it is drawn.
    """
    if example.size not in (None, size):
        raise ValueError(f"{example.image}: annotated at {example.size}, the file has {size}")
    frame = resize, crop, padded
    found = []
    for one in example.objects:
        box = one.box
        if box is not None:
            kept = boxes.follow(box[None], size, *frame).astype(np.float64)
            if not len(kept):
                continue
            box = kept[0]
        mask = functools.partial(_drawn, one.mask, size, frame) if one.mask else None
        found.append(one._replace(box=box, mask=mask, keypoints=_keypoints(one, size, frame)))
    side = crop or resize
    return example._replace(objects=tuple(found), size=(side, side))


def _keypoints(one: Object, size: tuple[int, int], frame: tuple) -> dict[str, Keypoint]:
    side = frame[1] or frame[0]
    scales, begins = boxes.scales_and_begins(size, *frame)
    found = {}
    for name, point in one.keypoints.items():
        x, y = ((np.asarray(point[:2]) + 0.5) * scales - begins - 0.5).tolist()
        if min(x, y) >= -0.5 and max(x, y) < side - 0.5:
            found[name] = point._replace(x=x, y=y)
    return found


def _drawn(draw: Callable[[], Mask], size: tuple[int, int], frame: tuple) -> Seen:
    mask = draw()
    if mask.shape != size:
        raise ValueError(f"a mask of {mask.shape} for a file of {size}")
    return of_mask(mask, *frame)


def of_mask(mask: Mask, resize: int, crop: int | None = None, padded: bool = False) -> Seen:
    """The pixels of the prepared picture whose centers lie in a pixel of the mask.

    Args:
        mask: (H, W), of the size of the file.
        resize: as in `prepare`.
        crop: as in `prepare`.
        padded: as in `prepare`.

    Returns:
        (side, side).
    """
    size, side, frame = mask.shape, crop or resize, (resize, crop, padded)
    scales, begins = boxes.scales_and_begins(size, *frame)
    columns, rows = (
        np.floor((np.arange(side) + 0.5 + begin) / scale).astype(int)
        for scale, begin in zip(scales, begins, strict=True)
    )
    seen = np.zeros((side, side), bool)
    there = tuple(
        (at >= 0) & (at < length) for at, length in zip((rows, columns), size, strict=True)
    )
    seen[np.ix_(*there)] = mask[np.ix_(rows[there[0]], columns[there[1]])]
    return seen
