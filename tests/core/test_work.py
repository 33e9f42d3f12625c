"""Multiplications counted by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from saljax.core.work import live_bytes, multiplications

A, B = jnp.zeros((3, 4)), jnp.zeros((4, 5))
IMAGE, KERNEL = jnp.zeros((1, 8, 8, 6)), jnp.zeros((3, 3, 2, 4))


def conv(images):
    """Two groups; each output is a sum over 3 x 3 pixels and the 2 channels of its group."""
    dimensions = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        images[..., :4], KERNEL, (2, 2), "SAME",
        dimension_numbers=dimensions, feature_group_count=2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fn", "args", "expected"),
    [
        (lambda a, b: jnp.tanh(a) @ b + 1, (A, B), 3 * 4 * 5),
        (lambda a: jnp.einsum("bij,bjk->bik", a, a), (jnp.zeros((7, 2, 2)),), 7 * 2 * 2 * 2),
        (jax.jit(lambda a: jax.vmap(lambda row: row @ B)(a)), (A,), 60),
        (conv, (IMAGE,), 4 * 4 * 4 * 3 * 3 * 2),
        (lambda a: lax.scan(lambda c, _: (c @ jnp.eye(4), None), a, None, length=9)[0], (A,), 432),
        (lambda a: lax.cond(a[0, 0] > 0, lambda: a @ B, lambda: A @ B), (A,), 60),
        (jax.grad(lambda a: (a @ B).sum()), (A,), 2 * 60),
        (jax.checkpoint(lambda a: a @ B), (jax.ShapeDtypeStruct((3, 4), np.float32),), 60),
        (lambda a: a + 1, (A,), 0),
    ],
)
def test_counted_by_hand(fn, args, expected):
    assert multiplications(fn, *args) == expected


def test_back_through_a_strided_convolution_costs_what_it_costs_forward():
    forward = multiplications(conv, IMAGE)
    both = multiplications(jax.grad(lambda x: conv(x).sum()), IMAGE)
    assert 1.8 * forward < both < 2.6 * forward


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (lambda a: a + 1, 48 + 48),
        (lambda a: jnp.tanh(a @ B).sum(), 60 + 60),  # the input, 48, is no longer needed
        (lambda a: jnp.tanh(a @ B).sum() + a, 48 + 60 + 60),
        (jax.jit(lambda a: jnp.tanh(a @ B).sum() + a), 48 + 60 + 60),
        (lambda a: lax.scan(lambda c, _: (jnp.tanh(c), c), a, None, length=9)[1], 48 + 48 + 9 * 48),
        (lambda a: jax.checkpoint(lambda a: jnp.tanh(a @ B).sum())(a) + a, 48 + 60 + 60),
    ],
)
def test_bytes_alive_at_once_counted_by_hand(fn, expected):
    assert live_bytes(fn, A) == expected


def test_bytes_alive_at_once_are_about_what_the_compiler_takes():
    def network(images):
        for _ in range(3):
            images = jax.nn.relu(conv(jnp.concatenate([images] * 2, axis=-1)))
            images = jnp.repeat(jnp.repeat(images, 2, axis=1), 2, axis=2)
        return images.mean((1, 2))

    images = jnp.zeros((8, 64, 64, 4))
    compiled = jax.jit(network).lower(images).compile().memory_analysis()
    taken = compiled.temp_size_in_bytes + compiled.argument_size_in_bytes
    assert 0.7 * taken < live_bytes(network, images) < 3 * taken
