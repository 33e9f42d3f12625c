"""Many perturbations in bounded memory."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def length(count: int, chunk_size: int) -> int:
    """Length of the chunks that cover `count` items with the least padding.

    Any length in (chunk_size / 2, chunk_size] keeps the device busy, so the one that wastes the
    fewest items is taken, the longest of equals: 225 items in chunks of at most 32 go as 9 x 25
    and not as 8 x 32.
    """
    longest = min(count, chunk_size)
    return min(range(longest, longest // 2, -1), key=lambda n: -(-count // n) * n)


def map_over(fn: Callable[[Any], Any], items: Any, chunk_size: int) -> Any:
    """`fn(items)`, computed for at most `chunk_size` items at a time.

    Args:
        fn: takes items stacked on a leading axis, returns arrays on the same leading axis; what it
            computes for an item must not depend on the others.
        items: pytree of arrays with one leading axis.
        chunk_size: how many items are in memory at once; never changes the result.

    Returns:
        What `fn` returns, for all items.
    """
    count = jax.tree.leaves(items)[0].shape[0]
    size = length(count, chunk_size)
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
