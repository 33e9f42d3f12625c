"""Arrays with their values in random order, without a sort."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, UInt32

FEW = 1024
ROUNDS = 6
"""Of mixing. Both are our choice: of few values the orders would not be equally likely."""
BLOCK = 2**18
"""Places in work at a time, which stay in the cache."""


def shuffled(arrays: Sequence[Array], keys: Key[Array, " arrays"]) -> list[Array]:
    """Arrays with their values in random order.

    `jax.random.permutation` sorts twice, which takes a core two seconds for the largest kernel of a
    ResNet-18, and is compiled for each size; it is used up to `FEW` values. Of more, each place in
    0..2^b - 1, 2^b >= n, is sent to another by a Feistel network: one half of its bits is mixed
    into the other and back, which can be undone, so no two meet. What lands at n or above is sent
    on until it does not. One program does this for all arrays, in a tenth of the time.

    Args:
        arrays: of any shapes, all of them less than 2^32 values.
        keys: which order, one an array.

    Returns:
        Arrays of the same shapes. The order is random enough for weights and not for secrets.
    """
    found, groups = {}, {}
    for number, array in enumerate(arrays):
        few = array.size if array.size <= FEW else None
        groups.setdefault((few, array.dtype), []).append(number)
    for (few, _), numbers in groups.items():
        flat = [arrays[number].ravel() for number in numbers]
        own = keys[np.asarray(numbers)]
        rows = _of_many(flat, own) if few is None else _of_few(flat, own)
        found |= dict(zip(numbers, rows, strict=True))
    return [found[number].reshape(array.shape) for number, array in enumerate(arrays)]


def _of_few(flat, keys):
    several = jax.vmap(jax.random.permutation)(keys, jnp.stack(flat))
    return [several[row] for row in range(len(flat))]


def _of_many(flat, keys):
    sizes = np.asarray([values.size for values in flat])
    starts = np.cumsum(sizes) - sizes
    bits = np.asarray([int(size - 1).bit_length() for size in sizes])
    low, total = bits - bits // 2, int(sizes.sum())
    whole = [starts, sizes, low, 2 ** (bits - low) - 1, 2**low - 1]
    tables = [jnp.asarray(table, jnp.uint32) for table in whole]
    mixing = jax.vmap(lambda own: jax.random.bits(own, (ROUNDS,), jnp.uint32))(keys)
    source = jnp.concatenate(flat)

    def block(first):
        at = jnp.minimum(first + jnp.arange(BLOCK, dtype=jnp.uint32), total - 1)
        array = jnp.searchsorted(tables[0], at, side="right") - 1
        start, size, low, high_mask, low_mask = (table[array] for table in tables)
        own = mixing[array]

        def sent(place):
            high_part, low_part = place >> low, place & low_mask
            for number in range(ROUNDS):
                if number % 2:
                    low_part ^= _mixed(high_part, own[:, number]) & low_mask
                else:
                    high_part ^= _mixed(low_part, own[:, number]) & high_mask
            return (high_part << low) | low_part

        place = jax.lax.while_loop(
            lambda place: (place >= size).any(),
            lambda place: jnp.where(place >= size, sent(place), place),
            sent(at - start),
        )
        return source[start + place]

    firsts = jnp.arange(0, total, BLOCK, dtype=jnp.uint32)
    mixed = jax.lax.map(block, firsts).ravel()
    return [mixed[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def _mixed(x: UInt32[Array, " n"], key: UInt32[Array, " n"]) -> UInt32[Array, " n"]:
    """A hash of 32 bits: every bit of it depends on every bit of x."""
    x = (x ^ key) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)
