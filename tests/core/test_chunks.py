import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax
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


class Accelerator:
    """A device of a simulated memory; CPUs do not tell theirs."""

    def __init__(self, **told):
        self.told = told

    def memory_stats(self):
        return self.told or None


def wide(seeds):
    """A thousand numbers an item, in two arrays at a time: 8000 bytes and a few."""
    return jnp.sin(jnp.broadcast_to(seeds[:, None], (len(seeds), 1000))).sum(axis=1)


@pytest.mark.parametrize(
    ("images", "told", "expected"),
    [
        (1, {}, chunks.USUAL),
        (None, {"bytes_limit": 10**9, "bytes_in_use": 0}, chunks.USUAL),
        (1, {"bytes_limit": 10**9, "bytes_in_use": 0}, chunks.ENOUGH),
        (8, {"bytes_limit": 10**9, "bytes_in_use": 0}, chunks.ENOUGH // 8),
        (1, {"bytes_limit": 10**9, "bytes_in_use": 10**9 - 2_000_000}, 64),  # of 124
        (3, {"bytes_limit": 2_000_000, "bytes_in_use": 0}, 32),  # of 124 / 3 = 41
        (1, {"bytes_limit": 4_000, "bytes_in_use": 0}, 1),
    ],
)
def test_chunks_are_as_long_as_the_memory_of_the_device_takes(monkeypatch, images, told, expected):
    monkeypatch.setattr(jax, "local_devices", lambda: [Accelerator(**told)])
    lengths = []

    def counted(seeds):
        lengths.append(len(seeds))
        return wide(seeds)

    def run():
        jax.eval_shape(lambda x: chunks.map_over(counted, x, None), jnp.ones(2048))

    if images is None:
        run()
    else:
        with chunks.images_at_once(images):
            run()
    assert lengths[-1] == expected


def test_explain_tells_how_many_images_there_are(monkeypatch):
    monkeypatch.setattr(
        jax, "local_devices", lambda: [Accelerator(bytes_limit=10**9, bytes_in_use=0)]
    )
    monkeypatch.setattr(chunks, "ENOUGH", 12)
    shown = []

    def score_fn(images):
        shown.append(len(images))
        return images.mean((1, 2))

    method = functools.partial(saljax.glas, grid=3, parts="light")
    image = jnp.linspace(0, 1, 2 * 75).reshape(2, 5, 5, 3)
    found = saljax.explain(method, score_fn, image, [0, 1])
    assert shown[-1] == 3  # 9 lights in chunks of at most 4, 12 of both images together
    shown.clear()
    given = saljax.explain(functools.partial(method, chunk_size=9), score_fn, image, [0, 1])
    assert shown[-1] == 9
    np.testing.assert_allclose(given, found, rtol=1e-6)
