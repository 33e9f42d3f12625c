"""Many perturbations in bounded memory."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from saljax.core.work import live_bytes

USUAL = 32
"""Items at a time where nobody says how many, and the memory of the device is not known."""
ENOUGH = 1024
"""Items of all images together beyond which no accelerator gets faster; our choice."""
SHARE = 0.5
"""Of the free memory that items may take as `live_bytes` counts it; our choice."""

_images_at_once: contextvars.ContextVar[int | None] = contextvars.ContextVar("images", default=None)


@contextlib.contextmanager
def images_at_once(number: int) -> Iterator[None]:
    """Tell the traces inside how many images a vmap around them has."""
    before = _images_at_once.set(number)
    try:
        yield
    finally:
        _images_at_once.reset(before)


def fitting(fn: Callable[[Any], Any], items: Any) -> int:
    """How many items to compute at a time where the user does not say.

    `USUAL`, but under `images_at_once`, on a device that tells its memory: as many as `SHARE` of
    what is free takes, `ENOUGH` with all images at most, rounded down to a power of two, so that
    the program stays the same where a little less is free.

    Args:
        fn: see `map_over`.
        items: see `map_over`.
    """
    images, free = _images_at_once.get(), _free_bytes()
    if images is None or free is None:
        return USUAL
    one = jax.tree.map(lambda x: x[:1], items)
    several = min(ENOUGH, int(SHARE * free) // max(live_bytes(fn, one), 1)) // images
    return 1 << max(several, 1).bit_length() - 1


def _free_bytes() -> int | None:
    """Memory that is free on this process's first device; CPUs do not tell."""
    told = jax.local_devices()[0].memory_stats() or {}
    return told["bytes_limit"] - told["bytes_in_use"] if "bytes_limit" in told else None


def length(count: int, chunk_size: int | None) -> int:
    """Length of the chunks that cover `count` items with the least padding.

    Any length in (chunk_size / 2, chunk_size] keeps the device busy, so the one that wastes the
    fewest items is taken, the longest of equals: 225 items in chunks of at most 32 go as 9 x 25
    and not as 8 x 32.
    """
    longest = min(count, USUAL if chunk_size is None else chunk_size)
    return min(range(longest, longest // 2, -1), key=lambda n: -(-count // n) * n)


def map_over(fn: Callable[[Any], Any], items: Any, chunk_size: int | None) -> Any:
    """`fn(items)`, computed for at most `chunk_size` items at a time.

    Args:
        fn: takes items stacked on a leading axis, returns arrays on the same leading axis; what it
            computes for an item must not depend on the others.
        items: pytree of arrays with one leading axis.
        chunk_size: how many items are in memory at once; never changes the result. None: see
            `fitting`.

    Returns:
        What `fn` returns, for all items.
    """
    count = jax.tree.leaves(items)[0].shape[0]
    size = length(count, fitting(fn, items) if chunk_size is None else chunk_size)
    if size == count:
        return fn(items)
    chunks = -(-count // size)
    filler = chunks * size - count

    def split(x):
        padded = jnp.concatenate([x, jnp.repeat(x[-1:], filler, axis=0)])
        return padded.reshape(chunks, size, *x.shape[1:])

    def join(x):
        return x.reshape(chunks * size, *x.shape[2:])[:count]

    return jax.tree.map(join, jax.lax.map(fn, jax.tree.map(split, items)))


def sum_over(fn: Callable[[Any], Any], items: Any, chunk_size: int) -> Any:
    """Sum over all items of `fn(items)`, where the terms are too large to keep them all.

    Args:
        fn: see `map_over`.
        items: see `map_over`.
        chunk_size: how many terms are in memory at once.

    Returns:
        What `fn` returns, without the leading axis.
    """
    count = jax.tree.leaves(items)[0].shape[0]
    size = length(count, chunk_size)

    def total(chunk):
        return jax.tree.map(lambda x: x.sum(axis=0), fn(chunk))

    def step(so_far, start):
        # The last chunk overlaps the one before it; what was there already counts nothing.
        first = jnp.minimum(start, count - size)
        chunk = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, first, size), items)
        new = first + jnp.arange(size) >= start

        def added(x):
            mask = new.reshape(-1, *(1,) * (x.ndim - 1))
            return jnp.where(mask, x, jnp.zeros_like(x)).sum(axis=0)

        return jax.tree.map(lambda s, x: s + added(x), so_far, fn(chunk)), None

    if size == count:
        return total(items)
    shapes = jax.eval_shape(total, jax.tree.map(lambda x: x[:size], items))
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    return jax.lax.scan(step, zeros, jnp.arange(0, count, size))[0]
