"""Explainability M_E: do the pixels ranked highest lie in the boxes?"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

from saljax.metrics import inputs
from saljax.ops import boxes as box_ops


def explainability(
    saliency: Float[Array, "height width"], boxes: Num[Array, "boxes 4"]
) -> Float[Array, ""]:
    """Average precision of the pixels, ranked by the map, against the boxes; DRE calls it M_E.

    M_E = 100 sum_i P_i (R_i - R_(i-1)), P_i and R_i precision and recall of {S >= i-th value}

    Args:
        saliency: S, (H, W).
        boxes: (B, 4) as x1, y1, x2, y2 in pixels of the map, corners inside, rows of NaN ignored.

    Returns:
        () in 0..100. A map that knows nothing has the boxes' share of the picture, in percent. NaN
        where no box covers a pixel, and for a map with a NaN.

    Raises:
        ValueError: shapes that do not go together.

    Source: the DRE paper, equation 11. Pixels of equal value are one threshold, as in the
    scikit-learn function that the DRE paper's code uses: the order of storage does not count.
    """
    saliency = inputs.picture_map(saliency)
    return 100.0 * average_precision(saliency, box_ops.inside_boxes(boxes, saliency.shape))


def average_precision(
    saliency: Float[Array, "*spatial"], truth: Bool[Array, "*spatial"]
) -> Float[Array, ""]:
    """Average precision of pixels ranked by a map; equal values are one threshold.

    Args:
        saliency: (*spatial).
        truth: (*spatial), the pixels to be found.

    Returns:
        () in [0, 1]; NaN where `truth` is empty or the map has a NaN.
    """
    saliency, truth = jnp.asarray(saliency, jnp.float32), jnp.asarray(truth)
    values = saliency.ravel()
    order = jnp.argsort(-values)
    values, found = values[order], truth.ravel()[order].astype(jnp.int32)
    places = jnp.arange(values.size, dtype=jnp.int32)
    last_of_its_value = jnp.append(values[1:] != values[:-1], True)
    # The end of each pixel's group of equals: the next place that is the last of its value.
    end = jax.lax.cummin(jnp.where(last_of_its_value, places, values.size), reverse=True)
    precision = jnp.cumsum(found)[end].astype(jnp.float32) / (end + 1).astype(jnp.float32)
    mean = (precision * found.astype(jnp.float32)).sum() / found.sum().astype(jnp.float32)
    return jnp.where(jnp.isnan(saliency).any(), jnp.nan, mean)
