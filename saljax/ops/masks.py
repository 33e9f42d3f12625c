"""Masks that search methods slide or draw, in any number of dimensions."""

import functools
import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, Num, UInt

from saljax.ops import images


def centers(shape: Sequence[int], stride: Sequence[int]) -> Float[Array, "places rank"]:
    """Places `stride` apart all over an image, alike from both ends: ceil(n / stride) on an axis.

    Args:
        shape: spatial shape, of any rank.
        stride: pixels from one place to the next, one number an axis.

    Returns:
        (P, rank) in array indices, the last axis fastest; half of them may lie between pixels.
    """
    return jnp.asarray(_places(_alike, shape, stride), jnp.float32)


def corners(
    shape: Sequence[int], size: Sequence[int], stride: Sequence[int]
) -> Int[Array, "places rank"]:
    """First pixels of windows about `centers`, so that what reaches over the border does so alike.

    Where the corners would lie between pixels, they move half a pixel towards the middle, which two
    windows share. Where a window would have to lie in the middle and cannot, since not both of n
    and `size` are even or odd, there is one more of them.

    Args:
        shape: spatial shape, of any rank.
        size: of a window in pixels, one number an axis.
        stride: pixels from one window to the next, at most `size`, one number an axis.

    Returns:
        (P, rank), the last axis fastest; corners may lie outside, and every pixel in a window.
    """

    def along(n, side, step):
        extra = -(-n // step) % 2 & (n - side) % 2
        exact = [center - (side - 1) / 2 for center in _alike(n, step, extra)]
        ends = enumerate(exact)
        return [math.ceil(x) if 2 * i < len(exact) else math.floor(x) for i, x in ends]

    return jnp.asarray(_places(along, shape, size, stride), jnp.int32)


def corners_inside(
    shape: Sequence[int], size: Sequence[int], stride: Sequence[int]
) -> Int[Array, "places rank"]:
    """First pixels of windows at 0, stride, 2 stride ... until one reaches the end of the axis.

    All lie inside but for the last where `stride` does not divide n - size.

    Args:
        shape: see `corners`.
        size: see `corners`.
        stride: see `corners`.

    Returns:
        (P, rank), the last axis fastest.
    """

    def along(n, side, step):
        return range(0, n - side + step, step)

    return jnp.asarray(_places(along, shape, size, stride), jnp.int32)


def _alike(n, step, extra=0):
    number = -(-n // step) + extra
    return [(n - 1 + step * (2 * i + 1 - number)) / 2 for i in range(number)]


def _places(along, *axes):
    return list(itertools.product(*map(along, *axes)))


def window(
    shape: Sequence[int],
    corner: Sequence[int] | Int[Array, " rank"],
    size: Sequence[int],
) -> Float[Array, "*spatial"]:
    """A window: 1 from its corner on for its size, 0 elsewhere; cut at the image's border.

    Args:
        shape: spatial shape, of any rank.
        corner: first pixel, one index an axis; may lie outside.
        size: pixels, one number an axis.

    Returns:
        (*shape) float32, 0 or 1.
    """

    def inside(axis):
        away = jnp.arange(shape[axis]) - corner[axis]
        return ((away >= 0) & (away < size[axis])).astype(jnp.float32)

    return functools.reduce(jnp.multiply.outer, [inside(axis) for axis in range(len(shape))])


def disc(
    shape: Sequence[int],
    center: Sequence[float] | Num[Array, " rank"],
    radius: float | Float[Array, ""],
    softness: float | Sequence[float] = 0.0,
    unit: Sequence[float] | None = None,
) -> Float[Array, "*spatial"]:
    """A disc (an interval, a ball): 1 nearer to the center than `radius`, 0 elsewhere.

    Args:
        shape: spatial shape, of any rank.
        center: one coordinate an axis, in array indices; may lie between or outside pixels.
        radius: in units; 0 or less is the empty disc.
        softness: standard deviation in pixels of the Gaussian blur that softens the edge, or one an
            axis; 0 leaves it hard.
        unit: pixels in a unit along each axis, of an ellipse; None: one pixel is one unit.

    Returns:
        (*shape) float32 in [0, 1]; the part outside the image is cut off before the blur.

    Raises:
        ValueError: `softness` is negative.
    """
    center, unit_ = (
        jnp.asarray(x, jnp.float32).reshape(-1, *(1,) * len(shape))
        for x in (center, (1.0,) * len(shape) if unit is None else unit)
    )
    away = (jnp.indices(shape).astype(jnp.float32) - center) / unit_
    squared = jnp.square(away).sum(axis=0)
    radius = jnp.maximum(jnp.asarray(radius, jnp.float32), 0.0)
    hard = (squared < jnp.square(radius)).astype(jnp.float32)
    return images.blur(hard[..., None], softness)[..., 0]


def random_grid(
    key: Key[Array, ""] | UInt[Array, "2"], shape: Sequence[int], grid: int, probability: float
) -> Float[Array, "*spatial"]:
    """RISE's mask: a coarse grid of random cells, enlarged linearly and shifted at random.

    Each of grid^rank cells is 1 with `probability`, else 0. With c = ceil(n / grid) on an axis of n
    pixels, the grid is enlarged to (grid + 1) c and cut to n from an offset in 0..c-1, so every
    pixel has the expected value `probability`.

    Args:
        key: of this mask.
        shape: spatial shape, of any rank.
        grid: cells a side.
        probability: of a cell to be 1, in [0, 1].

    Returns:
        (*shape) float32 in [0, 1].
    """
    drawn = jax.random.uniform(key, (draws_of_grid(shape, grid),), jnp.float32)
    return grid_of(drawn, shape, grid, probability)


def draws_of_grid(shape: Sequence[int], grid: int) -> int:
    """How many uniform numbers `grid_of` makes a mask from."""
    return len(shape) + grid ** len(shape)


def grid_of(
    drawn: Float[Array, " draws"], shape: Sequence[int], grid: int, probability: float
) -> Float[Array, "*spatial"]:
    """The mask of `random_grid` that these uniform numbers make.

    Args:
        drawn: (draws_of_grid(shape, grid),) in [0, 1), the shift of each axis and then the cells.
        shape: see `random_grid`.
        grid: see `random_grid`.
        probability: see `random_grid`.

    Returns:
        See `random_grid`.
    """
    mask = (drawn[len(shape) :] < probability).astype(jnp.float32).reshape((grid,) * len(shape))
    for n, place in zip(shape, drawn[: len(shape)], strict=True):
        cell = -(-n // grid)
        shift = jnp.floor(place * cell).astype(jnp.int32)
        weights = jax.lax.dynamic_slice_in_dim(_enlarging(grid, (grid + 1) * cell), shift, n)
        mask = jnp.tensordot(mask, weights, (0, 1), precision="highest")
    return mask


def _enlarging(short: int, long: int) -> Float[Array, "long short"]:
    """Linear interpolation from pixel centers to pixel centers, reflected at the outer ones."""
    at = np.abs((np.arange(long) + 0.5) * short / long - 0.5)
    at = np.clip(np.minimum(at, 2 * (short - 1) - at), 0, short - 1)
    hats = np.maximum(1 - np.abs(at[:, None] - np.arange(short)), 0)
    return jnp.asarray(hats, jnp.float32)


def grid_segments(shape: Sequence[int], grid: int) -> Int[Array, "*spatial"]:
    """Labels 0..grid^rank - 1 of the cells of a regular grid, the last axis fastest.

    Args:
        shape: spatial shape, of any rank.
        grid: cells a side; cells of an axis differ by at most one pixel.

    Returns:
        (*shape); labels are missing where an axis has fewer pixels than cells.
    """
    rows = [jnp.arange(n) * grid // n for n in shape]
    return functools.reduce(lambda so_far, row: jnp.add.outer(so_far * grid, row), rows)
