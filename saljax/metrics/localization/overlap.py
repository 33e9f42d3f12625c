"""Boxes and regions from a map, against the boxes of the class."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from saljax.core import checks
from saljax.metrics import inputs
from saljax.ops import boxes as box_ops
from saljax.ops import maps

Rule = Literal["value", "energy", "mean"]
Size = tuple[int, int] | Int[Array, "2"] | None


def iou_curve(
    saliency: Float[Array, "height width"],
    boxes: Bool[Array, "height width"] | Num[Array, "boxes 4"],
    *,
    thresholds: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9),
) -> Float[Array, " thresholds"]:
    """Overlap of the thresholded map with the boxes of the class, at several thresholds.

    IoU(t) = |{S >= t} and B| / |{S >= t} or B|, S min-max normalized, B the union of the boxes.

    Args:
        saliency: S, (H, W).
        boxes: (B, 4) as x1, y1, x2, y2 in pixels of the map, corners inside, rows of NaN ignored;
            or a mask (H, W) of booleans, which is B itself.
        thresholds: T values in [0, 1].

    Returns:
        (T,) in [0, 1]; 0 where no box covers a pixel, NaN for a map with a NaN.

    Raises:
        ValueError: shapes that do not go together, or `thresholds` negative or not several.

    Source: the GLAS paper, table 3. That regions of pixels are compared, and not their bounding
    boxes, is our choice: the text asks "that the object regions are uniformly highlighted", and on
    photographs the numbers come nearer to the printed ones.
    """
    saliency = inputs.picture_map(saliency)
    if np.ndim(thresholds) != 1:
        raise ValueError(f"`thresholds` must be several, such as (0.5,); got {thresholds!r}.")
    for threshold in thresholds:
        checks.not_negative(thresholds=threshold)
    truth = inputs.map_and_mask(saliency, boxes)[1][None]
    above = maps.normalize(saliency)[None] >= jnp.asarray(thresholds, jnp.float32)[:, None, None]
    shared, either = ((x).sum((1, 2)).astype(jnp.float32) for x in (above & truth, above | truth))
    return jnp.where(jnp.isnan(saliency).any(), jnp.nan, shared / jnp.maximum(either, 1.0))


def localization_box(
    saliency: Float[Array, "height width"],
    *,
    rule: Rule = "energy",
    alpha: float | Float[Array, ""] = 0.9,
    size: Size = None,
) -> Float[Array, "4"]:
    """Bounding box of the pixels that a threshold leaves.

    What is left of h = max(S, 0):

    - value: h - min h >= alpha (max h - min h)
    - energy: pixels in descending order, up to the one before their sum reaches alpha sum(h)
    - mean: h >= alpha mean(h)

    and h > 0. The box of all of them is taken, without a choice of components, after resizing what
    is left bilinearly to the size of the image; where nothing is left it is the whole image.

    Args:
        saliency: S, (H, W).
        rule: "value", "energy" or "mean".
        alpha: see the rules; at most 1 for value and energy.
        size: (height, width) of the image that the box is meant for; the map's own if None. Its
            values may be traced.

    Returns:
        (4,) x1, y1, x2, y2, whole numbers, corners inside.

    Raises:
        ValueError: not a map of a picture, no such rule, or a negative `alpha`.

    Source: Fong and Vedaldi's supplement, section 5, and its official code. Ours: negative values
    count as zero, equal values go in order of memory, the resizing is exact (the code rounds to
    bytes and rescales, which may move a corner by a pixel), and coordinates start at 0.
    """
    saliency = inputs.picture_map(saliency)
    checks.one_of(get_args(Rule), rule=rule)
    checks.not_negative(alpha=alpha)
    positive = jnp.maximum(saliency, 0.0)
    kept = _kept(positive, rule, alpha) & (positive > 0)
    old = saliency.shape
    new = jnp.asarray(old if size is None else size, jnp.int32)
    y1, y2 = _extent(kept.any(axis=1), old[0], new[0])
    x1, x2 = _extent(kept.any(axis=0), old[1], new[1])
    found = jnp.stack([x1, y1, x2, y2])
    whole = jnp.stack([jnp.zeros_like(x1), jnp.zeros_like(y1), new[1] - 1, new[0] - 1])
    return jnp.where(kept.any(), found, whole).astype(jnp.float32)


def localization_error(
    saliency: Float[Array, "height width"],
    boxes: Num[Array, "boxes 4"],
    *,
    rule: Rule = "energy",
    alpha: float | Float[Array, ""] = 0.9,
    size: Size = None,
) -> Bool[Array, ""]:
    """Whether the map's box overlaps no box of the class by half: lower is better.

    Args:
        saliency: (H, W).
        boxes: (B, 4) as x1, y1, x2, y2 in pixels of the image of `size`, corners inside, rows of
            NaN ignored.
        rule: see `localization_box`.
        alpha: see `localization_box`; 0.9 was chosen for Meaningful Perturbation with energy, and
            other methods need their own (`choose_alpha`).
        size: see `localization_box`.

    Returns:
        True for an error: the best intersection over union is below 0.5. A map with a NaN errs.

    Raises:
        ValueError: see `localization_box`; or `boxes` are not (B, 4).

    Source: Fong and Vedaldi's supplement, section 5 and table 1 (its "accuracy" in the text is this
    error rate), and its official code.
    """
    box = localization_box(saliency, rule=rule, alpha=alpha, size=size)
    best = box_ops.overlap(box, boxes).max(initial=0.0)
    return (best < 0.5) | jnp.isnan(saliency).any()


def _kept(positive, rule, alpha):
    if rule == "mean":
        return positive >= alpha * positive.mean()
    if rule == "value":
        low, high = positive.min(), positive.max()
        return positive - low >= alpha * (high - low)
    order = jnp.argsort(-positive.ravel(), stable=True)
    # Rounding may let the running sum fall by a little; what has been reached stays reached.
    reached = jax.lax.cummax(jnp.cumsum(positive.ravel()[order]))
    at_pixel = jnp.zeros_like(reached).at[order].set(reached).reshape(positive.shape)
    return at_pixel < alpha * reached[-1]


def _extent(occupied, old, new):
    """First and last index of a row of `new` pixels that bilinear resizing of `old` ones reaches.

    Pixel i has its center at (i + 1/2) old / new - 1/2 and takes from all within 1, or within
    old / new where that is more. In integers, since many centers fall exactly on the end.
    """
    from_each_end = jnp.stack([occupied, occupied[::-1]])
    first, from_last = jax.lax.argmax(from_each_end, 1, jnp.int32)
    last = old - 1 - from_last
    reach = 2 * jnp.maximum(old, new)
    low = ((2 * first + 1) * new - reach - old) // (2 * old) + 1
    high = -((old - (2 * last + 1) * new - reach) // (2 * old)) - 1
    return jnp.maximum(low, 0), jnp.minimum(high, new - 1)
