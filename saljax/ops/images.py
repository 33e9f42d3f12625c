"""Blur and resize, for arrays with any number of spatial axes."""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num


def check(image: Num[Array, "..."]) -> None:
    """Refuse bytes: black to white is 0 to 1.

    Raises:
        ValueError: the image, or images, are integers.
    """
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise ValueError(
            f"images must be floating point in [0, 1]; got {image.dtype}. Divide bytes by 255."
        )


def blur(
    image: Float[Array, "*spatial channels"], sigma: float, radius: int | None = None
) -> Float[Array, "*spatial channels"]:
    """Gaussian blur with the edge pixels repeated outside.

    The kernel is cut and sums to 1, so a constant stays constant.

    Args:
        image: (*spatial, C).
        sigma: standard deviation in pixels, >= 0; 0 returns the image.
        radius: where the kernel is cut, in pixels; 4 sigma if not given.

    Returns:
        (*spatial, C).

    Raises:
        ValueError: `sigma` is negative, or the image is of integers.
    """
    check(image)
    if sigma < 0:
        raise ValueError(f"`sigma` must be at least 0; got {sigma}.")
    if sigma == 0:
        return image
    reach = int(4 * sigma + 0.5) if radius is None else radius
    return window_blur(image, np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2)))


def window_blur(
    image: Float[Array, "*spatial channels"], weights: Float[np.ndarray, " window"]
) -> Float[Array, "*spatial channels"]:
    """Blur with a separable window, the edge pixels repeated outside.

    Each axis is one product with a banded matrix, which costs the same for any window.

    Args:
        image: (*spatial, C).
        weights: an odd number of them; they are made to sum to 1.

    Returns:
        (*spatial, C).
    """
    offsets = jnp.arange(len(weights))[None] - len(weights) // 2
    normalized = jnp.asarray(weights / weights.sum(), jnp.result_type(image))[None]
    for axis, n in enumerate(image.shape[:-1]):
        rows = jnp.arange(n)[:, None]
        matrix = jnp.zeros((n, n), jnp.result_type(image))
        matrix = matrix.at[rows, jnp.clip(rows + offsets, 0, n - 1)].add(normalized)
        blurred = jnp.tensordot(matrix, image, (1, axis), precision="highest")
        image = jnp.moveaxis(blurred, 0, axis)
    return image


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
