"""Where the evidence is known, as in birdlets: how much of the map is on it?"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from saljax.ops import maps


def share_on_part(
    saliency: Float[Array, "*spatial"], mask: Bool[Array, "*spatial"]
) -> Float[Array, ""]:
    """Share of a map's mass that lies on a part: sum of max(S, 0) over the part / over all.

    Chance is `mask.mean()`, the part's share of the picture.

    Args:
        saliency: S, (*spatial). Negative values, evidence against, count as zero.
        mask: (*spatial), where the part is.

    Returns:
        () in [0, 1]; chance for a map without a positive value, NaN for a map with a NaN.

    Raises:
        ValueError: `mask` is not of booleans, or not of the map's shape.

    Source: our own.
    """
    saliency, mask = _together(saliency, mask)
    mass = jnp.maximum(saliency, 0.0)
    mass = jnp.where(mass.max() > 0, mass, jnp.where(jnp.isnan(saliency), saliency, 1.0))
    return jnp.where(mask, mass, 0.0).sum() / mass.sum()


def pointing_on_part(
    saliency: Float[Array, "*spatial"], mask: Bool[Array, "*spatial"]
) -> Bool[Array, ""]:
    """Whether the maximum of a map lies on a part. Chance is `mask.mean()`.

    Args:
        saliency: (*spatial). Of equal maxima the first in memory counts.
        mask: (*spatial), where the part is.

    Returns:
        True for a hit. There is no tolerance. A map with a NaN misses.

    Raises:
        ValueError: `mask` is not of booleans, or not of the map's shape.

    Source: our own.
    """
    saliency, mask = _together(saliency, mask)
    return mask[tuple(maps.peak(saliency))] & ~jnp.isnan(saliency).any()


def _together(saliency, mask):
    saliency, mask = jnp.asarray(saliency, jnp.float32), jnp.asarray(mask)
    if mask.dtype != jnp.bool_:
        raise ValueError(f"`mask` must be of booleans; got {mask.dtype}.")
    if mask.shape != saliency.shape:
        raise ValueError(f"`mask` must have the map's shape, {saliency.shape}; got {mask.shape}.")
    return saliency, mask
