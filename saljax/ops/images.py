"""Blur and resize, for arrays with any number of spatial axes."""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def blur(
    image: Float[Array, "*spatial channels"], sigma: float
) -> Float[Array, "*spatial channels"]:
    """Gaussian blur with the edge pixels repeated outside.

    The kernel is cut at 4 sigma and sums to 1, so a constant stays constant. Each axis is one
    product with a banded matrix, which costs the same for any sigma.

    Args:
        image: (*spatial, C).
        sigma: standard deviation in pixels, >= 0; 0 returns the image.

    Returns:
        (*spatial, C).

    Raises:
        ValueError: `sigma` is negative.
    """
    if sigma < 0:
        raise ValueError(f"`sigma` must be at least 0; got {sigma}.")
    if sigma == 0:
        return image
    for axis, n in enumerate(image.shape[:-1]):
        blurred = jnp.tensordot(_blur_matrix(n, sigma), image, (1, axis))
        image = jnp.moveaxis(blurred, 0, axis)
    return image


def _blur_matrix(n: int, sigma: float) -> Float[Array, "n n"]:
    offsets = jnp.arange(-int(4 * sigma + 0.5), int(4 * sigma + 0.5) + 1)
    weights = jnp.exp(-jnp.square(offsets.astype(jnp.float32)) / (2 * sigma**2))
    rows = jnp.arange(n)[:, None]
    columns = jnp.clip(rows + offsets[None], 0, n - 1)
    matrix = jnp.zeros((n, n), jnp.float32)
    return matrix.at[rows, columns].add((weights / weights.sum())[None])


def resize(
    x: Float[Array, "..."], shape: Sequence[int], method: Literal["linear", "nearest"] = "linear"
) -> Float[Array, "..."]:
    """Resize the leading axes: pixel centers at halves, linear is antialiased when shrinking.

    Args:
        x: (*spatial, ...), an image with channels or a map without.
        shape: new spatial shape, one length for each leading axis to resize.
        method: "linear", or "nearest", which repeats each cell.

    Returns:
        (*shape, ...).
    """
    return jax.image.resize(x, (*shape, *x.shape[len(shape) :]), method)
