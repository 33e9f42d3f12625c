"""Noisy linear imputation: missing pixels as the weighted mean of their neighbors."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.custom_batching import sequential_vmap
from jaxtyping import Array, Bool, Float, Key

from saljax.core.types import Image
from saljax.ops import perturb

MOST_STEPS = 2000
"""Of conjugate gradients; at 224 pixels a hole of half the picture needs some 200."""


def impute(
    image: Image,
    missing: Bool[Array, "*spatial"],
    key: Key[Array, ""],
    *,
    noise: float,
    tolerance: float,
) -> Image:
    """Fill missing pixels so that each is the weighted mean of its neighbors, plus noise.

    sum_j w_ij (x_j - x_i) = 0 for each missing pixel i, over its neighbors j inside the image

    with w = 1/6 for the four neighbors beside it and 1/12 for those at its corners. The equations
    are symmetric and positive definite on the missing pixels as long as one pixel is there, so
    conjugate gradients solve them without a matrix, divided by the diagonal.

    Args:
        image: (*spatial, C).
        missing: (*spatial).
        key: for the noise.
        noise: standard deviation of what is added to the values filled in.
        tolerance: of the residual, as a share of the right side.

    Returns:
        (*spatial, C); where nothing is missing it is the image.
    """
    values = jnp.moveaxis(image.astype(jnp.float32), -1, 0)
    filled = jnp.moveaxis(_solver(tolerance)(values, missing), 0, -1)
    drawn = noise * jax.random.normal(key, image.shape, jnp.float32)
    return perturb.blend(
        image, (~missing).astype(jnp.float32), (filled + drawn).astype(image.dtype)
    )


def _solver(tolerance: float) -> Callable:
    """(channels, *spatial), missing -> (channels, *spatial), what is missing found.

    On a CPU it takes many images one after the other: each then has its own number of steps, and
    stays in the cache, which together is a third of the time.
    """

    def solve(values, missing):
        hole = missing.astype(jnp.float32)[None]
        known, weights = values * (1 - hole), neighbors(jnp.ones_like(hole))
        start = hole * (known.sum(range(1, values.ndim), keepdims=True) / (1 - hole).sum())

        def operate(values):
            return hole * (weights * values - neighbors(hole * values)) + (1 - hole) * values

        filled, _ = jax.scipy.sparse.linalg.cg(
            operate, hole * neighbors(known), start, tol=tolerance, maxiter=MOST_STEPS,
            M=lambda residual: residual / weights,
        )  # fmt: skip
        return filled

    return sequential_vmap(solve) if jax.default_backend() == "cpu" else solve


def neighbors(values: Float[Array, "channels *spatial"]) -> Float[Array, "channels *spatial"]:
    """Weighted sum of the neighbors of each pixel, nothing outside the image.

    A neighbor that differs on m axes weighs 2^-m, of all together 1; in a picture these are ROAD's
    1/6 and 1/12. For signals and volumes it is our own.
    """
    rank = values.ndim - 1
    around = values
    for axis in range(1, rank + 1):
        n = values.shape[axis]
        padded = jnp.pad(around, [(1, 1) if a == axis else (0, 0) for a in range(rank + 1)])
        before, after = (jax.lax.slice_in_dim(padded, s, s + n, axis=axis) for s in (0, 2))
        around = around + (before + after) / 2
    return (around - values) / (2**rank - 1)
