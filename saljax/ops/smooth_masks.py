"""Smooth masks from few parameters, so that optimizing them cannot draw noise."""

import functools
import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

SHARPNESS = 20.0
"""Of the smooth maximum: 0 is the mean, infinity the maximum."""


def grid_shape(spatial: Sequence[int], step: Sequence[int]) -> tuple[int, ...]:
    """How many nodes the parameter grid has on each axis, `step` pixels apart."""
    return tuple(math.ceil(n / side) for n, side in zip(spatial, step, strict=True))


def first_node(spatial: Sequence[int], step: Sequence[int]) -> tuple[float, ...]:
    """Where the first node stands, in array indices, if the grid is the same from both ends."""
    nodes = grid_shape(spatial, step)
    return tuple(
        (n - 1 - side * (number - 1)) / 2
        for n, side, number in zip(spatial, step, nodes, strict=True)
    )


def smooth_mask(
    parameters: Float[Array, "*grid"],
    step: Sequence[int],
    sigma: Sequence[float],
    first: Sequence[float],
) -> Float[Array, "*full"]:
    """A mask that is at each pixel the smooth maximum of the nodes around it, weighted by distance.

    M(x) = sum_i v_i exp(20 v_i) / sum_i exp(20 v_i),  v_i = k(|(x - x_i) / sigma|) parameters_i
    k(d) = exp(-2 max(0, d - 1/2)^2)

    i runs over the nodes nearer than 3/2 + ceil(sigma / step) steps along each axis; nodes outside
    the grid have the value 0 and count.

    Args:
        parameters: one value a node, in [0, 1].
        step: pixels from node to node, one number an axis.
        sigma: radius in pixels of what one node covers, one number an axis.
        first: where the first node stands in the image, in array indices; whole or half, one number
            an axis.

    Returns:
        (*full) in [0, 1], at the pixels from ceil(sigma / step) steps before the first node to as
        many after the last; `inside` cuts the image out. A grid of ones gives 0.976 to 0.996 inside
        (step 7, sigma 21), since the maximum is a smooth one.

    Source: Fong, Patrick, Vedaldi, ICCV 2019; kernel, sharpness and extent as in the authors' code,
    which the paper's differ from by constants. Deviation: the code takes the nodes around the one
    at or before x, which are not the same for a mirrored mask (of a grid of ones 0.0005 at most).
    For a sigma that is no multiple of `step` the extent is our choice.
    """
    rank, reach = parameters.ndim, _reach(step, sigma)
    taps = [2 * (r + 1) + 1 for r in reach]
    blocks = [n + 2 * r for n, r in zip(parameters.shape, reach, strict=True)]
    seen = jnp.pad(parameters, [(2 * r + 1, 2 * r + 1) for r in reach])
    for axis, (n, number) in enumerate(zip(blocks, taps, strict=True)):
        shifted = [jax.lax.slice_in_dim(seen, i, i + n, axis=axis) for i in range(number)]
        seen = jnp.stack(shifted, axis=-1)
    seen = seen.reshape(-1, math.prod(taps))

    # Of all pixels of a full mask, those at the same place beside their node see the nodes at the
    # same distances. One place at a time keeps the memory at a few numbers a node and a tap.
    @jax.checkpoint
    def at_place(place):
        kernel, counts = place[0], place[1]
        sharp = jnp.exp(seen * (SHARPNESS * kernel)[None])
        above = jnp.matmul(seen * sharp, kernel * counts, precision="highest")
        return above / jnp.matmul(sharp, counts, precision="highest")

    between = [x % 1 for x in first]
    before = [int(side - 1 + 2 * x) // 2 for side, x in zip(step, between, strict=True)]
    places = [np.arange(side) + x - b for side, x, b in zip(step, between, before, strict=True)]
    kernels = jnp.asarray(_kernels(places, step, sigma, taps))
    mask = jax.lax.map(at_place, kernels).reshape(*step, *blocks)
    order = [axis for pair in zip(range(rank, 2 * rank), range(rank), strict=True) for axis in pair]
    mask = mask.transpose(order).reshape([n * side for n, side in zip(blocks, step, strict=True)])
    lengths = [
        (n - 1) * side + 1 - int(2 * x) for n, side, x in zip(blocks, step, between, strict=True)
    ]
    return mask[tuple(slice(b, b + n) for b, n in zip(before, lengths, strict=True))]


def inside(
    mask: Float[Array, "*full"],
    spatial: Sequence[int],
    step: Sequence[int],
    sigma: Sequence[float],
    first: Sequence[float],
) -> Float[Array, "*spatial"]:
    """The part of a `smooth_mask` that lies on the image."""
    margins = zip(_reach(step, sigma), step, first, strict=True)
    starts = [r * side - math.ceil(x) for r, side, x in margins]
    return mask[tuple(slice(start, start + n) for start, n in zip(starts, spatial, strict=True))]


def _reach(step, sigma):
    return [math.ceil(width / side) for side, width in zip(step, sigma, strict=True)]


def _kernels(places, step, sigma, taps) -> np.ndarray:
    """Weights of the taps, and which of them count: (places, 2, taps^rank)."""
    squares, near = [], []
    for at, side, width, number in zip(places, step, sigma, taps, strict=True):
        away = at[:, None] - side * (np.arange(number) - number // 2)[None]
        squares.append(np.square(away / width))
        near.append(np.abs(away) < side * number / 2)
    rows = []
    for place in itertools.product(*map(range, step)):
        along = [of[i] for of, i in zip(squares, place, strict=True)]
        distances = np.sqrt(functools.reduce(np.add.outer, along))
        weights = np.exp(-2 * np.square(np.maximum(0, distances - 0.5)))
        counts = [of[i] for of, i in zip(near, place, strict=True)]
        rows.append([weights.ravel(), functools.reduce(np.multiply.outer, counts).ravel()])
    return np.asarray(rows, np.float32)
