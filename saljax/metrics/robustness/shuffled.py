"""Values in random order, without a sort."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, UInt32

FEW = 4096
ROUNDS = 6
"""Of mixing. Both are our choice: of few values the orders would not be equally likely."""


def shuffled(values: Array, key: Key[Array, ""]) -> Array:
    """The values of an array in random order, of many in a tenth of the time of a sort.

    `jax.random.permutation` sorts twice, which takes a core two seconds for the largest kernel of a
    ResNet-18; it is used up to `FEW` values. Of more, each number in 0..2^b - 1, 2^b >= n, is sent
    to another by a Feistel network: one half of its bits is mixed into the other and back, which
    can be undone, so no two meet. What lands at n or above is sent on until it does not.

    Args:
        values: of any shape, less than 2^32 of them.
        key: which order.

    Returns:
        The same shape. The order is random enough for weights and not for secrets.
    """
    if values.size <= FEW:
        return jax.random.permutation(key, values.ravel()).reshape(values.shape)
    bits = (values.size - 1).bit_length()
    low = bits - bits // 2
    keys = jax.random.bits(key, (ROUNDS,), jnp.uint32)

    def sent(place):
        high_part, low_part = place >> low, place & jnp.uint32(2**low - 1)
        for number in range(ROUNDS):
            if number % 2:
                low_part ^= _mixed(high_part, keys[number]) & jnp.uint32(2**low - 1)
            else:
                high_part ^= _mixed(low_part, keys[number]) & jnp.uint32(2 ** (bits - low) - 1)
        return (high_part << low) | low_part

    def outside(place):
        return place >= values.size

    places = jax.lax.while_loop(
        lambda place: outside(place).any(),
        lambda place: jnp.where(outside(place), sent(place), place),
        sent(jnp.arange(values.size, dtype=jnp.uint32)),
    )
    return values.ravel()[places].reshape(values.shape)


def _mixed(x: UInt32[Array, " n"], key: UInt32[Array, ""]) -> UInt32[Array, " n"]:
    """A hash of 32 bits: every bit of it depends on every bit of x."""
    x = (x ^ key) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)
