"""The pointing game: does the map's maximum fall on the object?"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Num

from saljax.core import checks
from saljax.metrics import inputs
from saljax.ops import boxes as box_ops
from saljax.ops import maps


def pointing_game(
    saliency: Float[Array, "height width"],
    objects: Bool[Array, "height width"] | Num[Array, "boxes 4"],
    *,
    tolerance: float = 15.0,
) -> Bool[Array, ""]:
    """Hit or miss of the pointing game, as it was first played.

    A hit if some pixel of the class's objects is nearer than `tolerance` to the maximum of the map:
    |x - argmax S|^2 < tolerance^2.

    Args:
        saliency: S, (H, W). Of equal maxima the first in memory counts, so that a constant map
            points to the top left corner; a map with a NaN misses.
        objects: boxes (B, 4) as x1, y1, x2, y2 in pixels of the map, corners inside, rows of NaN
            ignored; or a mask (H, W) of booleans.
        tolerance: in pixels of the map, > 0. The papers play in the original image, short sides of
            some 300 to 500 pixels; there 15 is a smaller part of the picture than at 224.

    Returns:
        True for a hit. The papers report `mean_over_classes` of it.

    Raises:
        ValueError: shapes that do not go together, or `tolerance` is not above 0.

    Source: Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV 2016, section
    4.1; the inequality is strict as in its later implementations.
    """
    saliency = inputs.picture_map(saliency)
    checks.positive(tolerance=tolerance)
    away = _squared_distance(maps.peak(saliency).astype(jnp.float32), objects, saliency.shape)
    return (away < tolerance**2) & ~jnp.isnan(saliency).any()


def pointing_game_fong(
    saliency: Float[Array, "height width"],
    objects: Bool[Array, "height width"] | Num[Array, "boxes 4"],
    *,
    tolerance: float = 15.0,
) -> Bool[Array, ""]:
    """Hit or miss of the pointing game as Fong and Vedaldi play it (ICCV 2017).

    The point is the mean of the coordinates of all maxima; a hit if the closed disc of radius
    `tolerance` around it touches an object.

    Args:
        saliency: (H, W). A constant map points to the center; a map with a NaN misses.
        objects: boxes (B, 4) as x1, y1, x2, y2 in pixels of the map, corners inside, rows of NaN
            ignored; or a mask (H, W) of booleans.
        tolerance: in pixels of the map, > 0.

    Returns:
        True for a hit.

    Raises:
        ValueError: shapes that do not go together, or `tolerance` is not above 0.

    Source: Fong and Vedaldi, ICCV 2017, supplement, section 4, and
    its official code. There objects are polygons; here the disc must reach the center of a pixel of
    theirs.
    """
    saliency = inputs.picture_map(saliency)
    checks.positive(tolerance=tolerance)
    point = maps.centroid(saliency == saliency.max())
    return _squared_distance(point, objects, saliency.shape) <= tolerance**2


def pointing_game_glas(
    saliency: Float[Array, "height width"],
    boxes: Num[Array, "boxes 4"],
    *,
    threshold: float = 0.95,
) -> Bool[Array, ""]:
    """Hit or miss of the pointing game as GLAS plays it (2020).

    The map is min-max normalized, and the point is the centroid of the biggest connected blob of
    {S > threshold}; a hit if it lies in a box of the class. There is no tolerance.

    Args:
        saliency: S, (H, W).
        boxes: (B, 4) as x1, y1, x2, y2 in pixels of the map; corners belong to the box, rows of
            NaN are ignored.
        threshold: in [0, 1).

    Returns:
        True for a hit. A constant map has no point and misses.

    Raises:
        ValueError: shapes that do not go together, or a negative `threshold`.

    Source: the GLAS paper, section 4, "Evaluation on target localization". Eight neighbors are
    connected, of equal blobs the first counts, and the centroid may fall outside a concave blob:
    our choices.
    """
    saliency = inputs.picture_map(saliency)
    checks.not_negative(threshold=threshold)
    blob = _blob(saliency, threshold)
    row, column = maps.centroid(blob | ~blob.any())
    x1, y1, x2, y2 = box_ops.check(boxes).T
    inside = (x1 <= column) & (column <= x2) & (y1 <= row) & (row <= y2)
    return blob.any() & inside.any()


def localization_point(
    saliency: Float[Array, "*spatial"], *, threshold: float = 0.95
) -> Float[Array, " rank"]:
    """Centroid of the biggest blob of the normalized map above a threshold.

    Args:
        saliency: (*spatial).
        threshold: in [0, 1).

    Returns:
        (rank,) in array indices; NaN for a constant map.
    """
    return maps.centroid(_blob(saliency, threshold))


def _blob(saliency, threshold):
    return maps.biggest_blob(maps.normalize(saliency) > threshold)


def is_small(
    boxes: Num[Array, "boxes 4"], shape: Sequence[int], *, share: float = 0.25
) -> Bool[Array, ""]:
    """Whether the boxes of a class cover less than a share of the picture.

    Args:
        boxes: (B, 4) as x1, y1, x2, y2 in pixels, corners inside, rows of NaN ignored.
        shape: (H, W) of the picture; what lies outside it does not count.
        share: of the picture's area, in (0, 1].

    Returns:
        True for a picture of PT-small.

    Raises:
        ValueError: `boxes` are not (B, 4), or `share` is not above 0.

    Source: the GLAS paper, section 4: "the total area of the bounding box of the given class is
    smaller than one quarter of the size of the image". What two boxes share is counted once: our
    choice.
    """
    checks.positive(share=share)
    return box_ops.inside_boxes(boxes, shape).astype(jnp.float32).mean() < share


def _squared_distance(point, objects, shape):
    """From a point to the nearest pixel of the objects; infinite where there is none."""
    rows, columns = (jnp.arange(n, dtype=jnp.float32) for n in shape)
    squared = jnp.square(rows - point[0])[:, None] + jnp.square(columns - point[1])[None]
    return jnp.where(inputs.object_mask(objects, shape), squared, jnp.inf).min()


def mean_over_classes(
    values: Num[Array, " images"] | Bool[Array, " images"],
    classes: Int[Array, " images"],
    num_classes: int,
) -> Float[Array, ""]:
    """Mean over the images of each class, then over the classes that have any.

    Args:
        values: (N,), such as hits of the pointing game; NaN where there is none.
        classes: (N,), class indices; images of others than 0..K-1 do not count.
        num_classes: K.

    Returns:
        (); NaN where no class has a value.

    Source: how the pointing game is reported since Zhang et al., ECCV 2016.
    """
    values = jnp.asarray(values, jnp.float32)
    classes = jnp.asarray(classes)
    there = ~jnp.isnan(values) & (classes >= 0)  # jax drops those above
    sums = jnp.zeros(num_classes, jnp.float32).at[classes].add(jnp.where(there, values, 0.0))
    counts = jnp.zeros(num_classes, jnp.float32).at[classes].add(there.astype(jnp.float32))
    means = sums / jnp.where(counts > 0, counts, 1.0)
    return means.sum() / (counts > 0).sum().astype(jnp.float32)
