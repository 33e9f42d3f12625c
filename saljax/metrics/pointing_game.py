"""The pointing game: does the map's maximum fall on the object?"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from saljax.ops import maps


def pointing_game_glas(
    saliency: Float[Array, "height width"],
    boxes: Float[Array, "boxes 4"],
    *,
    threshold: float = 0.95,
) -> Bool[Array, ""]:
    """Hit or miss of S1's pointing game.

    The map is min-max normalized, and the point is the centroid of the biggest connected blob of
    {S > threshold}; a hit if it lies in a box of the class. There is no tolerance.

    Args:
        saliency: S, (H, W).
        boxes: (B, 4) as x1, y1, x2, y2 in pixels of the map; corners belong to the box.
        threshold: in [0, 1).

    Returns:
        True for a hit. A constant map has no point and misses.

    Source: S1, section 4, "Evaluation on target localization". Eight neighbors are connected, of
    equal blobs the first counts, and the centroid may fall outside a concave blob: our choices.
    """
    row, column = localization_point(saliency, threshold=threshold)
    x1, y1, x2, y2 = boxes.T
    return jnp.any((x1 <= column) & (column <= x2) & (y1 <= row) & (row <= y2))


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
    return maps.centroid(maps.biggest_blob(maps.normalize(saliency) > threshold))
