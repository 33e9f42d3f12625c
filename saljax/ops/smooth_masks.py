"""Smooth masks from few parameters, so that optimizing them cannot draw noise."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

SHARPNESS = 20.0
"""Of the smooth maximum: 0 is the mean, infinity the maximum."""


def grid_shape(spatial: tuple[int, ...], step: int) -> tuple[int, ...]:
    """Nodes of the parameter grid; node i is at pixel `step * i`."""
    return tuple(math.ceil(n / step) for n in spatial)


def smooth_mask(
    parameters: Float[Array, "*grid"], step: int, sigma: float
) -> Float[Array, "*full"]:
    """A mask that is at each pixel the smooth maximum of the nodes around it, weighted by distance.

    M(x) = sum_i v_i exp(20 v_i) / sum_i exp(20 v_i),  v_i = k(|x - x_i| / sigma) parameters_i
    k(d) = exp(-2 max(0, d - 1/2)^2)

    i runs over the nodes within 1 + ceil(sigma / step) steps, along each axis, of the node at or
    before x; nodes outside the grid have the value 0 and count.

    Args:
        parameters: one value a node, in [0, 1].
        step: pixels from node to node.
        sigma: radius in pixels of what one node covers.

    Returns:
        (*full) in [0, 1], with a margin of ceil(sigma / step) steps before the image and at least
        as much after the last node; `inside` cuts the image out. A grid of ones gives 0.976 to
        0.996 inside (step 7, sigma 21), since the maximum is a smooth one.

    Source: Fong, Patrick, Vedaldi, ICCV 2019; kernel, sharpness and extent as in the
    authors' code, which the paper's differ from by constants. For a sigma that is no multiple of
    `step` the extent is our choice.
    """
    reach = math.ceil(sigma / step)
    taps = 2 * (reach + 1) + 1
    rank, blocks = parameters.ndim, [n + 2 * reach for n in parameters.shape]
    seen = jnp.pad(parameters, 2 * reach + 1)
    for axis, n in enumerate(blocks):
        shifted = [jax.lax.slice_in_dim(seen, i, i + n, axis=axis) for i in range(taps)]
        seen = jnp.stack(shifted, axis=-1)
    seen = seen.reshape(-1, taps**rank)
    ones = jnp.ones(taps**rank, seen.dtype)

    # Of all pixels of a full mask, those at the same place between two nodes see the nodes at the
    # same distances. One place at a time keeps the memory at a few numbers a node and a tap.
    @jax.checkpoint
    def at_place(kernel):
        sharp = jnp.exp(seen * (SHARPNESS * kernel)[None])
        above = jnp.matmul(seen * sharp, kernel, precision="highest")
        return above / jnp.matmul(sharp, ones, precision="highest")

    places = jax.lax.map(at_place, jnp.asarray(_kernels(rank, step, sigma, taps)))
    mask = places.reshape(*[step] * rank, *blocks)
    order = [axis for pair in zip(range(rank, 2 * rank), range(rank), strict=True) for axis in pair]
    mask = mask.transpose(order).reshape([n * step for n in blocks])
    return mask[tuple(slice(n * step - step + 1) for n in blocks)]


def inside(
    mask: Float[Array, "*full"], spatial: tuple[int, ...], step: int, sigma: float
) -> Float[Array, "*spatial"]:
    """The part of a `smooth_mask` that lies on the image."""
    margin = step * math.ceil(sigma / step)
    return mask[tuple(slice(margin, margin + n) for n in spatial)]


def _kernels(rank: int, step: int, sigma: float, taps: int) -> np.ndarray:
    """Weights of the taps, for each place of a pixel between two nodes: (step^rank, taps^rank)."""
    nodes = step * (np.arange(taps) - taps // 2)
    squares = np.square(np.arange(step)[:, None] - nodes)
    rows = []
    for place in itertools.product(range(step), repeat=rank):
        distances = np.sqrt(sum(np.ix_(*[squares[i] for i in place]))) / sigma
        rows.append(np.exp(-2 * np.square(np.maximum(0, distances - 0.5))).ravel())
    return np.asarray(rows, np.float32)
