"""Blur and resize, for arrays with any number of spatial axes."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from saljax.ops import sizes

FAR = 32.0
"""Colors above it are bytes and no fractions that overshoot 1, nor normalized. Our choice."""


def check(image: Any, one: bool = False) -> None:
    """Refuse what is no image, or images: black to white is 0 to 1.

    The values of colors are looked at where there are any, not inside a compiled program.

    Args:
        image: (*spatial, C), or (N, *spatial, C).
        one: it is one image and no batch.

    Raises:
        ValueError: it is no array, or of integers, a number, or has colors of 0 to 255; or
            a batch of one picture where one image is asked for.
    """
    if not hasattr(image, "shape") or not hasattr(image, "dtype"):
        raise ValueError(
            "an image must be an array (*spatial, channels), floating point in [0, 1]; got "
            f"{type(image).__name__}. Of a picture, np.asarray(picture, np.float32) / 255 is one."
        )
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise ValueError(
            f"images must be floating point in [0, 1]; got {image.dtype}. Divide bytes by 255."
        )
    if not image.ndim:  # one axis is a vector of features, with no place to show
        raise ValueError("an image is (*spatial, channels); got a number.")
    if one and image.ndim == 4 and image.shape[0] == 1 and image.shape[-1] in (1, 3):
        raise ValueError(
            f"the image is {image.shape}, which looks like a batch of one; a method explains one "
            "image, images[0], and saljax.explain a batch."
        )
    highest = extreme(image, jnp.max)
    if highest is not None and highest > FAR:
        raise ValueError(
            f"images must be in [0, 1]; got colors up to {highest:g}. Divide them by 255."
        )


def extreme(image: Any, of: Callable[[Any], Any]) -> float | None:
    """`jnp.max` or `jnp.min` of colors, where there are three and their values can be looked at."""
    here = not isinstance(image, Tracer) and getattr(image, "is_fully_addressable", True)
    if not (here and image.size and image.shape[-1] == 3):
        return None
    with jax.ensure_compile_time_eval():  # of an image that a traced function closes over
        return float(of(image))


def space(image: Any) -> tuple[int, ...]:
    """Spatial shape of one image that has places; ValueError as of `check`, or it has none."""
    check(image, one=True)
    if image.ndim < 2:
        raise ValueError(
            f"an image is (*spatial, channels); got shape {image.shape}. A signal without channels "
            "is signal[:, None]."
        )
    return image.shape[:-1]


def blur(
    image: Float[Array, "*spatial channels"],
    sigma: float | Sequence[float],
    radius: int | None = None,
) -> Float[Array, "*spatial channels"]:
    """Gaussian blur with the edge pixels repeated outside.

    The kernel is cut and sums to 1, so a constant stays constant.

    Args:
        image: (*spatial, C).
        sigma: standard deviation in pixels, or one an axis, >= 0; 0 returns the image.
        radius: where the kernel is cut, in pixels; 4 sigma if not given.

    Returns:
        (*spatial, C).

    Raises:
        ValueError: `sigma` is negative or not one number an axis, or the image is of integers.
    """
    check(image)
    for axis, width in enumerate(sizes.per_axis(sigma, image.ndim - 1, "sigma")):
        if width < 0:
            raise ValueError(f"`sigma` must be at least 0; got {sigma}.")
        if width > 0:
            reach = int(4 * width + 0.5) if radius is None else radius
            away = np.arange(-reach, reach + 1)
            image = _blur_along(image, axis, np.exp(-(away**2) / (2 * width**2)))
    return image


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
    for axis in range(image.ndim - 1):
        image = _blur_along(image, axis, weights)
    return image


def _blur_along(image, axis, weights):
    n = image.shape[axis]
    offsets = jnp.arange(len(weights))[None] - len(weights) // 2
    normalized = jnp.asarray(weights / weights.sum(), jnp.result_type(image))[None]
    rows = jnp.arange(n)[:, None]
    matrix = jnp.zeros((n, n), jnp.result_type(image))
    matrix = matrix.at[rows, jnp.clip(rows + offsets, 0, n - 1)].add(normalized)
    blurred = jnp.tensordot(matrix, image, (1, axis), precision="highest")
    return jnp.moveaxis(blurred, 0, axis)


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
