"""Saliency of animals' parts at their keypoints: are eyes more salient than feet?"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from saljax.core import checks
from saljax.metrics import inputs


def parts_saliency(
    saliency: Float[Array, "height width"],
    keypoints: Num[Array, "keypoints 2"],
    *,
    window: int = 5,
) -> Float[Array, " keypoints"]:
    """Mean of a map in a square window around each keypoint.

    Args:
        saliency: (H, W); in the paper the mask that deletes, where lower is more salient.
        keypoints: (K, 2) as x, y in pixels of the map; fractions are cut off. Rows of NaN stand for
            what is not seen.
        window: side in pixels, odd; what is outside the map is left out of the mean.

    Returns:
        (K,); NaN for a keypoint of NaN, or one with its whole window outside.

    Raises:
        ValueError: shapes that do not go together, or `window` is not an odd number above 0.

    Source: Fong and Vedaldi, ICCV 2017, supplement, section 7, and
    its official notebook. At the left and upper border the notebook's windows are empty; clipping
    them is our choice.
    """
    saliency = inputs.picture_map(saliency)
    checks.count(window=window)
    keypoints = jnp.asarray(keypoints, jnp.float32)
    if window % 2 == 0:
        raise ValueError(f"`window` must be odd; got {window}.")
    if keypoints.ndim != 2 or keypoints.shape[1] != 2:
        raise ValueError(f"`keypoints` must be (K, 2), rows of x, y; got {keypoints.shape}.")
    rows, columns = (jnp.arange(n, dtype=jnp.float32) for n in saliency.shape)

    def mean_around(keypoint):
        x, y = jnp.trunc(keypoint)
        near = [jnp.abs(places - at) <= window // 2 for places, at in [(rows, y), (columns, x)]]
        inside = near[0][:, None] & near[1][None]
        return jnp.where(inside, saliency, 0.0).sum() / inside.sum().astype(jnp.float32)

    return jax.lax.map(mean_around, keypoints)


class MeanAndError(NamedTuple):
    """A mean and its standard error.

    Attributes:
        mean: ().
        standard_error: ().
    """

    mean: Float[Array, ""]
    standard_error: Float[Array, ""]


def mean_and_error(values: Float[Array, "..."]) -> MeanAndError:
    """Mean and standard error, std / sqrt(n), of the values that are not NaN.

    Args:
        values: of any shape.

    Returns:
        A `MeanAndError`; NaN where there is no value, both infinite where a value is.

    Source: Fong and Vedaldi's supplement's official notebook: std divides by n.
    """
    there = ~jnp.isnan(values)
    number = there.sum().astype(jnp.float32)
    mean = jnp.where(there, values, 0.0).sum() / number
    variance = jnp.where(there, jnp.square(values - mean), 0.0).sum() / number
    return MeanAndError(mean, jnp.where(jnp.isinf(mean), jnp.inf, jnp.sqrt(variance / number)))


def parts_ratio(
    feet: Float[Array, "classes feet"], eyes: Float[Array, "classes eyes"]
) -> MeanAndError:
    """Ratio of one part's saliency to another's, over the classes of a group.

    For each class the mean over all its feet is divided by the mean over all its eyes.

    Args:
        feet: (classes, feet), of `parts_saliency` over the images of each class, padded with NaN.
        eyes: (classes, eyes), likewise.

    Returns:
        Mean ratio of the classes and its standard error. A class with nothing at its eyes has an
        infinite ratio, and so has its group; one with nothing at both does not count.

    Raises:
        ValueError: the arrays have different numbers of classes.

    Source: Fong and Vedaldi's supplement, table 2.
    """
    if len(feet) != len(eyes):
        raise ValueError(
            f"`feet` and `eyes` must have one row a class; got {len(feet)} and {len(eyes)} rows."
        )
    ratios = jnp.nanmean(feet, axis=1) / jnp.nanmean(eyes, axis=1)
    return mean_and_error(ratios)
