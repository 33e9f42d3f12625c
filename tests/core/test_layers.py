"""What a trace says of layers that nobody tagged: their names, and which axis is which."""

import functools

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.core import taps
from saljax.core.axes import CHANNELS, IMAGES, Tokens, reshaped

RNG = np.random.default_rng(0)
OTHERS = (None, None)
IMAGE = jnp.asarray(RNG.uniform(size=(12, 8, 3)), jnp.float32)


def weights(*shape):
    return jnp.asarray(RNG.normal(size=shape) / np.sqrt(shape[0]), jnp.float32)


class Block(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.relu(nn.LayerNorm()(nn.Conv(4, (3, 3))(x)))


class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.max_pool(Block(name="first")(x), (2, 2), (2, 2))
        x = nn.silu(Block(name="second")(x))
        return nn.Dense(3)(x.mean((1, 2)))


def linen():
    return Partial(Network().apply, Network().init(jax.random.key(0), IMAGE[None]))


def rows(found):
    return [(a.name, a.operation, a.shape, a.channels) for a in found]


def test_modules_of_linen_and_operations_in_order():
    whole, half = (12, 8, 4), (6, 4, 4)
    found = saljax.layers(linen(), IMAGE)
    assert rows(found) == [
        ("Network/first/Conv_0", "conv:0", whole, 2),
        ("Network/first/LayerNorm_0", "norm:0", whole, 2),
        ("Network/first", "relu:0", whole, 2),
        ("max_pool:0", "max_pool:0", half, 2),
        ("Network/second/Conv_0", "conv:1", half, 2),
        ("Network/second/LayerNorm_0", "norm:1", half, 2),
        ("Network/second", "relu:1", half, 2),
        ("silu:0", "silu:0", half, 2),
    ]
    first, second, *_ = str(found).splitlines()
    assert first.split() == ["layer", "operation", "shape", "channels", "places"]
    assert second.split()[-3:] == ["12", "x", "8"] and "Network/first/Conv_0" in second


def channels_first():
    keys = jax.random.split(jax.random.key(0), 2)
    return eqx.nn.Sequential(
        [
            eqx.nn.Conv2d(3, 4, 3, padding=1, key=keys[0]),
            eqx.nn.GroupNorm(2, 4),
            eqx.nn.Lambda(jax.nn.relu),
            eqx.nn.MaxPool2d(2, 2),
            eqx.nn.Conv2d(4, 5, 1, use_bias=False, key=keys[1]),
            eqx.nn.Lambda(jax.nn.relu),
        ]
    )


def equinox(network, images):
    return jax.vmap(lambda x: network(jnp.moveaxis(x, -1, 0)).mean((1, 2)))(images)


def test_channels_first_of_one_example_under_vmap():
    found = saljax.layers(Partial(equinox, channels_first()), IMAGE)
    assert [(a.operation, a.shape, a.channels, a.grid) for a in found] == [
        ("conv:0", (4, 12, 8), 0, (12, 8)),
        ("norm:0", (4, 12, 8), 0, (12, 8)),
        ("relu:0", (4, 12, 8), 0, (12, 8)),
        ("max_pool:0", (6, 4, 4), 2, (6, 4)),  # Equinox pools with channels last
        ("conv:1", (5, 6, 4), 0, (6, 4)),
        ("relu:1", (5, 6, 4), 0, (6, 4)),
    ]
    assert found[4].name == "eqx.nn.Sequential/eqx.nn.Conv:1"


def test_tags_come_first_and_other_names_stay():
    w = weights(3, 4)

    def score_fn(images):
        x = saljax.tag(jax.nn.relu(images @ w), "hidden")
        return saljax.tag(x.mean((1, 2)), "pooled")

    found = saljax.layers(score_fn, IMAGE)
    assert rows(found) == [
        ("dense:0", "dense:0", (12, 8, 4), 2),
        ("hidden", "relu:0", (12, 8, 4), 2),
    ]
    assert found[1].others == ("relu:0",)


KERNELS, FIRST = weights(3, 4, 4), weights(3, 4)


def scanned(images, tagged=False):
    def turn(x, kernel):
        x = jax.nn.relu(x @ kernel)
        return saljax.tag(x, "block") if tagged else x, None

    x, _ = jax.lax.scan(turn, images @ FIRST, KERNELS)
    return x.mean((1, 2))


def unrolled(images):
    x = images @ FIRST
    for kernel in KERNELS:
        x = jax.nn.relu(x @ kernel)
    return x.mean((1, 2))


def test_loops_of_known_length_are_looked_into():
    whole = (12, 8, 4)
    found = saljax.layers(scanned, IMAGE)
    assert found == saljax.layers(unrolled, IMAGE) and len(found) == 7
    assert rows(saljax.layers(functools.partial(scanned, tagged=True), IMAGE)) == [
        ("dense:0", "dense:0", whole, 2),
        *(
            row
            for n in range(3)
            for row in [
                (f"dense:{n + 1}", f"dense:{n + 1}", whole, 2),
                (f"block:{n}", f"relu:{n}", whole, 2),
            ]
        ),
    ]


@pytest.mark.parametrize("layers", [["relu:1"], ["dense:1", "block:1", "relu:2"]])
def test_a_layer_in_a_loop_is_that_of_the_loop_written_out(layers):
    found = taps.pullbacks(functools.partial(scanned, tagged=True), IMAGE, layers)
    same = [layer.replace("block", "relu") for layer in layers]
    expected = taps.pullbacks(unrolled, IMAGE, same)
    signal = jnp.eye(4)[:1]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        (found.scores, found.activations, found.back(signal)),
        (expected.scores, expected.activations, expected.back(signal)),
    )


@pytest.mark.parametrize(
    ("axes", "before", "after", "expected"),
    [
        ((IMAGES, 0, 1, CHANNELS), (1, 4, 6, 5), (1, 24, 5), (IMAGES, Tokens((4, 6)), CHANNELS)),
        ((IMAGES, Tokens((4, 6)), CHANNELS), (1, 24, 5), (1, 4, 6, 5), (IMAGES, 0, 1, CHANNELS)),
        ((IMAGES, Tokens((4, 6)), CHANNELS), (1, 24, 5), (1, 6, 4, 5), (IMAGES, *OTHERS, CHANNELS)),
        ((IMAGES, 0, 1, CHANNELS), (2, 4, 6, 5), (2, 2, 2, 6, 5), (IMAGES, 0, None, 1, CHANNELS)),
        ((IMAGES, 0, 1, CHANNELS), (1, 4, 6, 5), (1, 120), (IMAGES, None)),
        ((IMAGES, None, 0, 1), (1, 1, 4, 6), (1, 4, 6), (IMAGES, 0, 1)),
        ((IMAGES, CHANNELS, 0, 1), (1, 4, 2, 2), (1, 1, 4, 2, 2), (IMAGES, None, CHANNELS, 0, 1)),
    ],
)  # fmt: skip
def test_what_a_reshape_leaves(axes, before, after, expected):
    assert reshaped(axes, before, after) == expected
    assert np.reshape(np.zeros(before), after).shape == after
