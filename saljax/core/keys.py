"""Keys whose draws depend on nothing but the key.

Under `jax.vmap` the generators "rbg" and "unsafe_rbg", usual on TPUs, draw for the whole batch from
its first key: a mask would depend on the company it is drawn in, and so on the chunk size. What is
drawn with the key of `own` does not. It is drawn in float32 or int32, in so many words, since
JAX's default follows `jax_enable_x64`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, UInt

RandomKey = Key[Array, ""] | UInt[Array, " words"]
"""One key of `jax.random.key`, or a raw one of `jax.random.PRNGKey`, of any generator."""


def own(key: RandomKey) -> Key[Array, ""]:
    """The threefry key made of all bits of a key; a threefry key is its own.

    Args:
        key: one key of any generator.

    Returns:
        The key to draw with.

    Raises:
        ValueError: it is no key, or several.
    """
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if typed and not key.ndim:
        words = jax.random.key_data(key)
    elif getattr(key, "dtype", None) == jnp.uint32 and key.ndim == 1 and len(key) > 1:
        words = jnp.asarray(key)
    else:
        given = f"{key.dtype} {key.shape}" if hasattr(key, "dtype") else repr(key)
        raise ValueError(f"`key` must be one key, such as jax.random.key(0); got {given}.")
    threefry = jax.random.wrap_key_data(words[:2], impl="threefry2x32")
    for word in words[2:]:
        threefry = jax.random.fold_in(threefry, word)
    return threefry
