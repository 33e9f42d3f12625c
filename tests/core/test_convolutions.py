"""The same numbers, and kernels in the one order that XLA for CPU is fast with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from saljax.core import optimize
from saljax.core.convolutions import in_order

RNG = np.random.default_rng(0)


def array(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


@pytest.mark.parametrize(
    ("image", "kernel", "layout", "settings"),
    [
        ((2, 9, 8, 4), (3, 2, 4, 6), ("NHWC", "HWIO", "NHWC"), {"window_strides": (2, 1)}),
        ((2, 4, 9, 8), (6, 2, 3, 3), ("NCHW", "OIHW", "NHWC"), {"feature_group_count": 2}),
        ((2, 7, 3), (3, 3, 5), ("NHC", "HIO", "NHC"), {"rhs_dilation": (2,)}),
        (
            (1, 5, 4, 6, 2),
            (2, 3, 2, 2, 3),
            ("NHWDC", "HWDIO", "NHWDC"),
            {"lhs_dilation": (1, 2, 1), "padding": ((1, 0), (1, 1), (0, 1))},
        ),
    ],
    ids=["strided", "groups, torch's layout", "signal", "volume"],
)
def test_the_same_numbers(image, kernel, layout, settings):
    settings = {"window_strides": (1,) * (len(image) - 2), "padding": "SAME", **settings}

    def loss(x, w):
        y = jax.lax.conv_general_dilated(x, w, dimension_numbers=layout, **settings)
        return jnp.sum(jax.nn.relu(y) ** 2) * w.sum()  # a product that is no convolution, too

    both = jax.value_and_grad(loss, (0, 1))
    x, w = array(*image), array(*kernel)
    for ours, plain in zip(
        jax.tree.leaves(in_order(both)(x, w)), jax.tree.leaves(both(x, w)), strict=True
    ):
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-3)


def test_a_loop_that_optimizes_has_kernels_in_order():
    kernel, image = array(3, 3, 4, 4), array(1, 8, 8, 4)

    def loss(kernel, image, mask):
        x = image * mask[None, ..., None]
        for _ in range(2):
            x = jax.nn.relu(
                jax.lax.conv_general_dilated(
                    x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
                )
            )
        return x.sum()

    def ours(kernel, image):
        return optimize.minimize(
            lambda mask, step: loss(kernel, image, mask),
            jnp.ones((8, 8)),
            optimizer=optimize.adam(0.1),
            num_steps=3,
        ).parameters

    def plain(kernel, image):
        def step(mask, _):
            return mask - jax.grad(Partial(loss, kernel, image))(mask), None

        return jax.lax.scan(step, jnp.ones((8, 8)), None, length=3)[0]

    def compiled(fn):
        return jax.jit(fn).lower(kernel, image).compile().as_text()

    assert "01oi->" not in compiled(ours) and "01io->" in compiled(ours)
    assert "01oi->" in compiled(plain)  # else `in_order` is no longer needed
