import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax.core import chunks


@pytest.mark.parametrize(
    ("count", "chunk_size", "expected"),
    [(225, 32, 25), (451, 32, 24), (7, 100, 7), (7, 1, 1), (100, 10, 10), (13, 4, 3)],
)
def test_length_wastes_least(count, chunk_size, expected):
    def waste(n):
        return -count % n

    length = chunks.length(count, chunk_size)
    assert length == expected
    assert all(
        waste(length) <= waste(n) for n in range(chunk_size // 2 + 1, min(count, chunk_size) + 1)
    )


@pytest.mark.parametrize("chunk_size", [1, 3, 4, 7, 50])
def test_chunk_size_never_changes_the_result(chunk_size):
    items = {"a": jnp.arange(10.0), "b": jnp.arange(20).reshape(10, 2)}

    def fn(chunk):
        return chunk["a"][:, None] * chunk["b"].astype(jnp.float32), chunk["a"] + 1

    expected = fn(items)
    got = jax.jit(lambda items: chunks.map_over(fn, items, chunk_size))(items)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_array_equal(g, e)


def test_memory_is_that_of_one_chunk():
    def fn(seeds):
        wide = jnp.sin(seeds[:, None] * jnp.arange(10_000.0)[None])
        return jnp.cumsum(wide, axis=1)[:, -1]

    def temporary_bytes(count):
        compiled = jax.jit(lambda x: chunks.map_over(fn, x, 8)).lower(jnp.ones(count)).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporary_bytes(800) < 1.1 * temporary_bytes(80)


@pytest.mark.parametrize("chunk_size", [1, 3, 4, 10, 64])
def test_sum_over_counts_every_item_once(chunk_size):
    items = (jnp.arange(10.0), jnp.arange(20.0).reshape(10, 2))
    sums = chunks.sum_over(lambda x: (x[0] ** 2, x[1]), items, chunk_size)
    np.testing.assert_allclose(sums[0], (items[0] ** 2).sum())
    np.testing.assert_allclose(sums[1], items[1].sum(axis=0))
