"""Masks that search methods slide or draw: discs of any number of dimensions."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from saljax.ops import images


def disc(
    shape: Sequence[int],
    center: Sequence[float] | Num[Array, " rank"],
    radius: float | Float[Array, ""],
    softness: float = 0.0,
) -> Float[Array, "*spatial"]:
    """A disc (an interval, a ball): 1 nearer to the center than `radius`, 0 elsewhere.

    Args:
        shape: spatial shape, of any rank.
        center: one coordinate an axis, in array indices; may lie between or outside pixels.
        radius: in pixels; 0 or less is the empty disc.
        softness: standard deviation in pixels of the Gaussian blur that softens the edge; 0 leaves
            it hard.

    Returns:
        (*shape) float32 in [0, 1]; the part outside the image is cut off before the blur.

    Raises:
        ValueError: `softness` is negative.
    """
    center = jnp.asarray(center, jnp.float32).reshape(-1, *(1,) * len(shape))
    squared = jnp.square(jnp.indices(shape).astype(jnp.float32) - center).sum(axis=0)
    radius = jnp.maximum(jnp.asarray(radius, jnp.float32), 0.0)
    hard = (squared < jnp.square(radius)).astype(jnp.float32)
    return images.blur(hard[..., None], softness)[..., 0]
