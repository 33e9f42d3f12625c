"""Boxes on a picture: x1, y1, x2, y2 in array indices, corners inside.

A box from x1 to x2 is x2 - x1 + 1 pixels wide, and a pixel lies in it when its center does. Images
with different numbers of boxes are padded with boxes of NaN, which cover nothing.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num


def check(boxes: Num[Array, "boxes 4"]) -> Float[Array, "boxes 4"]:
    """Return boxes as float32, those of NaN as boxes that end before they begin.

    Nothing computes with a NaN then, which `jax_debug_nans` would take for a mistake.

    Raises:
        ValueError: they are not (B, 4).
    """
    boxes = boxes if hasattr(boxes, "dtype") else jnp.asarray(boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"`boxes` must be (B, 4), rows of x1, y1, x2, y2; got {boxes.shape}.")
    empty = jnp.asarray([[jnp.inf, jnp.inf, -jnp.inf, -jnp.inf]], jnp.float32)
    return jnp.where(jnp.isnan(boxes), empty, boxes.astype(jnp.float32))


def inside_boxes(boxes: Num[Array, "boxes 4"], shape: Sequence[int]) -> Bool[Array, "height width"]:
    """Pixels that lie in any of the boxes.

    Args:
        boxes: (B, 4).
        shape: (H, W).

    Returns:
        (H, W).
    """
    x1, y1, x2, y2 = check(boxes).T[:, :, None]
    rows, columns = (jnp.arange(n, dtype=jnp.float32)[None] for n in shape)
    in_rows, in_columns = (y1 <= rows) & (rows <= y2), (x1 <= columns) & (columns <= x2)
    return jnp.any(in_rows[:, :, None] & in_columns[:, None, :], axis=0)


def overlap(box: Num[Array, "4"], boxes: Num[Array, "boxes 4"]) -> Float[Array, " boxes"]:
    """Intersection over union of a box with each of several.

    Args:
        box: (4,).
        boxes: (B, 4).

    Returns:
        (B,) in [0, 1]; 0 for a box of NaN.
    """
    boxes, box = check(boxes), check(box[None])
    corners = jnp.maximum(box[:, :2], boxes[:, :2]), jnp.minimum(box[:, 2:], boxes[:, 2:])
    shared = _area(jnp.concatenate(corners, axis=1))
    return jnp.nan_to_num(shared / (_area(box) + _area(boxes) - shared))


def _area(boxes):
    return jnp.prod(jnp.maximum(boxes[:, 2:] - boxes[:, :2] + 1, 0), axis=1)
