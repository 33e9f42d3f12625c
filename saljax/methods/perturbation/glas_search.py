"""GLAS on part of its grid: scored where the map is large, filled in where it is not."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

ROUNDS = 8
"""Times that a search decides where to look next; our choice."""
FIRST = 2 / 3
"""Of the passes that points all over the grid may take; our choice."""


def score_some(
    score: Callable[[Any], Float[Array, "some *classes_asked"]],
    items: Any,
    values_of: Callable[[Float[Array, "..."]], Float[Array, "..."]],
    grid: int,
    rank: int,
    num_passes: int,
) -> Float[Array, "items *classes_asked"]:
    """Scores of all items from passes for some of them.

    First come points a few cells apart, then in each of `ROUNDS` rounds those of the largest value
    by what is known so far, times their distance from what was seen. What was not scored is the
    mean of its neighbors on the grid, in the end and in each round, so that scores are harmonic
    between those that were seen.

    Args:
        score: items -> scores, (N,) or (N, T).
        items: pytree of arrays with a leading axis: one or two times the points of the grid, the
            last axis fastest, and perhaps one item more, which is always scored.
        values_of: scores of all items, (M, T) -> what they make of each point, (P, T), >= 0.
        grid: points a side.
        rank: axes of the grid.
        num_passes: at most; a multiple of `ROUNDS` is spent.

    Returns:
        (M,), or (M, T).

    Raises:
        ValueError: too few passes for the corners of the grid.
    """
    number, points = len(jax.tree.leaves(items)[0]), grid**rank
    times, more = divmod(number, points)
    stride = coarsest(grid, rank, times, more, num_passes)
    first = coarse(grid, rank, stride)[None]
    each = num_passes // ROUNDS
    shape = jax.eval_shape(score, jax.tree.map(lambda x: x[:1], items)).shape[1:]

    def filled(answers, seen):
        of_grids = answers[: times * points].reshape(times, *(grid,) * rank, -1)
        masks = seen[: times * points].reshape(times, *(grid,) * rank, 1)
        smooth = jax.vmap(functools.partial(harmonic, sweeps=4 * stride**2))(of_grids, masks)
        return jnp.concatenate([smooth.reshape(times * points, -1), answers[times * points :]])

    def look(state, _):
        answers, seen = state
        values = values_of(filled(answers, seen))
        # Several classes share the passes: each says where by its share of its largest value.
        values = jnp.where(jnp.isnan(values), 0.0, values)
        highest = values.max(axis=0, keepdims=True)
        promise = (values / jnp.where(highest > 0, highest, 1.0)).sum(axis=1)[None]
        masks = seen[: times * points].reshape(times, *(grid,) * rank)
        away = jax.vmap(functools.partial(distance, most=stride + 1))(masks)
        promise = jnp.where(first, 1e30, promise * away.reshape(times, points))
        promise = jnp.append(promise, jnp.full(more, jnp.inf, jnp.float32))
        promise = jnp.where(seen, -jnp.inf, promise)
        places = jax.lax.top_k(promise, each)[1]
        new = score(jax.tree.map(lambda x: x[places], items)).reshape(each, -1)
        return (answers.at[places].set(new), seen.at[places].set(True)), None

    start = jnp.zeros((number, math.prod(shape)), jnp.float32), jnp.zeros(number, bool)
    state, _ = jax.lax.scan(look, start, length=ROUNDS)
    return filled(*state).reshape(number, *shape)


def coarsest(grid: int, rank: int, times: int, more: int, num_passes: int) -> int:
    """How far apart, from 2 cells on, points may be as near as `FIRST` of the passes allow."""
    for stride in range(2, max(grid, 3)):
        asked = times * coarse(grid, rank, stride).sum() + more
        if asked <= FIRST * (num_passes // ROUNDS * ROUNDS):
            return stride
    least = math.ceil((times * 2**rank + more) / FIRST / ROUNDS) * ROUNDS
    raise ValueError(f"`num_passes` must be at least {least} for this grid; got {num_passes}.")


def distance(seen: Bool[Array, "*grid"], most: int) -> Float[Array, "*grid"]:
    """Cells to the nearest point seen, along the axis where they are most; at most `most`."""
    near = seen.astype(jnp.float32)

    def beyond(radius):
        window = (2 * radius + 1,) * seen.ndim
        return 1 - jax.lax.reduce_window(near, 0.0, jax.lax.max, window, (1,) * seen.ndim, "SAME")

    return sum((beyond(radius) for radius in range(1, most)), 1 - near)


def coarse(grid: int, rank: int, stride: int) -> Bool[np.ndarray, " points"]:
    """Which points of a grid are `stride` apart, counted on each axis from both ends."""
    from_one_end = np.arange(0, (grid + 1) // 2, stride)
    along = np.isin(np.arange(grid), [*from_one_end, *(grid - 1 - from_one_end)])
    return functools.reduce(np.logical_and.outer, [along] * rank).reshape(-1)


def harmonic(
    values: Float[Array, "*grid classes"], seen: Bool[Array, "*grid 1"], sweeps: int
) -> Float[Array, "*grid classes"]:
    """Values on a grid, those that were not seen the means of their neighbors.

    Args:
        values: of all points; those that were not seen do not matter.
        seen: which of them are kept.
        sweeps: of Jacobi's iteration, which begins with the mean of what was seen.

    Returns:
        As `values`.
    """
    axes = range(values.ndim - 1)

    def around(x):
        """Sum over the neighbors inside the grid."""
        total = jnp.zeros_like(x)
        for axis in axes:
            beyond = [(1, 1) if a == axis else (0, 0) for a in range(x.ndim)]
            padded = jnp.pad(x, beyond)
            for start in (0, 2):
                total += jax.lax.slice_in_dim(padded, start, start + x.shape[axis], axis=axis)
        return total

    neighbors = around(jnp.ones((*values.shape[:-1], 1), jnp.float32))
    kept = jnp.where(seen, values, 0.0)
    mean = kept.sum(axis=axes, keepdims=True) / jnp.maximum(seen.sum(dtype=jnp.float32), 1.0)

    def sweep(_, x):
        return jnp.where(seen, values, around(x) / neighbors)

    return jax.lax.fori_loop(0, sweeps, sweep, jnp.where(seen, values, mean))
