"""Gaussian light and shadow in any number of dimensions, and their separable fusion.

Coordinates are array indices: the center of pixel 0 is 0.0, and an axis of n pixels reaches from
-0.5 to n - 0.5.
"""

import functools
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num


def gaussian_mask(
    shape: Sequence[int],
    center: Sequence[float] | Num[Array, " rank"],
    sigma: float | Float[Array, ""],
) -> Float[Array, "*spatial"]:
    """Light: a Gaussian of peak 1. Its shadow is 1 minus it.

    G(x) = exp(-|x - center|^2 / (2 sigma^2))

    Not a normalized density: the peak is 1, so that G and 1 - G are masks.

    Args:
        shape: spatial shape, of any rank.
        center: one coordinate an axis, in array indices; may lie between or outside pixels.
        sigma: standard deviation in pixels, > 0; infinity lights everything.

    Returns:
        (*shape) float32 in [0, 1].

    Raises:
        ValueError: `center` has another number of coordinates than `shape`, or `sigma` <= 0.

    Source: the GLAS paper, equation 1; the peak of 1 follows from G' = 1 - G in equation 2.
    """
    center = jnp.asarray(center, jnp.float32)
    if center.shape != (len(shape),):
        raise ValueError(
            f"`center` must have one coordinate for each of the {len(shape)} axes of `shape`; "
            f"got shape {center.shape}."
        )
    if isinstance(sigma, int | float) and not sigma > 0:
        raise ValueError(f"`sigma` must be greater than 0; got {sigma}.")
    factors = _axis_kernels(shape, center, 2 * jnp.square(jnp.float32(sigma)))
    return functools.reduce(jnp.multiply.outer, factors)


def grid_centers(shape: Sequence[int], grid: int) -> Float[Array, "points rank"]:
    """Centers of the cells of a regular grid over an image, in array indices.

    Cell i of an axis of n pixels is centered at (i + 1/2) n / grid - 1/2; the last half is there
    because index 0 is the center of the first pixel and not its edge.

    Args:
        shape: spatial shape, of any rank.
        grid: cells a side.

    Returns:
        (grid ** rank, rank), the last axis fastest.

    Source: the GLAS paper, section 3.
    """
    axes = [[(i + 0.5) * n / grid - 0.5 for i in range(grid)] for n in shape]
    return jnp.asarray(list(itertools.product(*axes)), jnp.float32)


def spread_grid(
    values: Float[Array, "..."], shape: Sequence[int], sigma: float | Float[Array, ""]
) -> Float[Array, "*spatial"]:
    """Sum of Gaussian bumps that stand on the cells of a regular grid.

    S(x) = sum_i exp(-|x - mu_i|^2 / sigma^2) v_i, computed one axis at a time: in two dimensions
    S = Ky^T V Kx.

    Args:
        values: v, (grid, ..., grid), one axis for each of `shape`.
        shape: spatial shape of the result.
        sigma: width in pixels. There is no factor 2 in the exponent (the GLAS paper, equation 3).

    Returns:
        (*shape).
    """
    for n in shape:
        centers = grid_centers((n,), values.shape[0])
        values = jnp.tensordot(values, _kernel(n, centers, sigma**2), (0, 0), precision="highest")
    return values


def spread_points(
    values: Float[Array, " points"],
    points: Float[Array, "points rank"],
    shape: Sequence[int],
    sigma: float | Float[Array, ""],
) -> Float[Array, "*spatial"]:
    """Sum of Gaussian bumps that stand anywhere; the same sum as `spread_grid`.

    Args:
        values: v, (P,).
        points: mu, (P, rank) in array indices.
        shape: spatial shape of the result.
        sigma: width in pixels, without a factor 2 in the exponent.

    Returns:
        (*shape).
    """
    kernels = _axis_kernels(shape, points, sigma**2)
    operands = [x for axis, kernel in enumerate(kernels) for x in (kernel, [0, axis + 1])]
    axes = list(range(1, len(shape) + 1))
    return jnp.einsum(values, [0], *operands, axes, precision="highest")


def spread_euclidean(
    values: Float[Array, " points"],
    points: Float[Array, "points rank"],
    shape: Sequence[int],
    decay: float | Float[Array, ""],
) -> Float[Array, "*spatial"]:
    """Sum of pointed bumps, S(x) = sum_i exp(-|x - mu_i| / decay) v_i; not separable.

    Args:
        values: v, (P,).
        points: mu, (P, rank) in array indices.
        shape: spatial shape of the result.
        decay: distance in pixels over which a bump falls by e.

    Returns:
        (*shape).
    """
    coordinates = jnp.moveaxis(jnp.indices(shape).astype(jnp.float32), 0, -1)

    def add(total, bump):
        value, point = bump
        away = jnp.linalg.norm(coordinates - jnp.reshape(point, (1,) * len(shape) + (-1,)), axis=-1)
        return total + value * jnp.exp(-away / decay), None

    return jax.lax.scan(add, jnp.zeros(shape, values.dtype), (values, points))[0]


def _kernel(n, centers, width):
    """(..., n) from centers (..., 1)."""
    pixels = jnp.arange(n, dtype=jnp.float32).reshape((1,) * (centers.ndim - 1) + (n,))
    return jnp.exp(-jnp.square(pixels - centers) / width)


def _axis_kernels(shape, centers, width):
    return [_kernel(n, centers[..., axis : axis + 1], width) for axis, n in enumerate(shape)]
