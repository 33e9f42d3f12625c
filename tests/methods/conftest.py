"""A small network with everything that is hard to look inside."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax

SIZE, CLASSES = 8, 3


def weights(seed=0):
    rng = np.random.default_rng(seed)

    def normal(*shape, scale):
        return jnp.asarray(rng.normal(size=shape) * scale, jnp.float32)

    def norm(n):
        return {
            "mean": normal(n, scale=0.1),
            "var": 0.5 + jnp.abs(normal(n, scale=1.0)),
            "scale": 1 + normal(n, scale=0.2),
            "bias": normal(n, scale=0.1),
        }

    return {
        "first": normal(3, 3, 3, 6, scale=0.4),
        "norm": norm(6),
        "second": normal(3, 3, 6, 6, scale=0.3),
        "bias": normal(6, scale=0.1),
        "dense": normal(6, CLASSES, scale=0.8),
    }


def convolve(x, kernel):
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def row(v):
    return v[None, None, None]


def batch_norm(x, p):
    return (x - row(p["mean"])) * row(jax.lax.rsqrt(p["var"] + 1e-5) * p["scale"]) + row(p["bias"])


def max_pool(x):
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def logits(weights, images, relu=jax.nn.relu):
    """Convolution, batch norm, ReLU, max pool, residual block, mean, linear classifier."""
    x = convolve((images - 0.4) / 0.25, weights["first"])
    x = saljax.tag(max_pool(relu(batch_norm(x, weights["norm"]))), "pooled")
    inside = jax.jit(convolve)(x, weights["second"]) + row(weights["bias"])
    x = saljax.tag(relu(x + inside), "block")
    x = saljax.tag(x.mean((1, 2)), "mean")
    return x @ weights["dense"]


@pytest.fixture
def cnn():
    """The network and its parts, its weights and an image."""
    pixels = np.random.default_rng(1).uniform(size=(SIZE, SIZE, 3))
    return types.SimpleNamespace(
        score_fn=Partial(logits, weights()),
        image=jnp.asarray(pixels, jnp.float32),
        weights=weights(),
        logits=logits,
        convolve=convolve,
        batch_norm=batch_norm,
        max_pool=max_pool,
    )


def linear_score(weights, images):
    return images.reshape(len(images), -1) @ weights


@pytest.fixture
def linear():
    """A linear classifier of 5 x 5 pictures, its weights (5, 5, 3, CLASSES) and an image."""
    rng = np.random.default_rng(2)
    matrix = jnp.asarray(rng.normal(size=(75, CLASSES)), jnp.float32)
    return types.SimpleNamespace(
        score_fn=Partial(linear_score, matrix),
        image=jnp.asarray(rng.uniform(size=(5, 5, 3)), jnp.float32),
        weights=matrix.reshape(5, 5, 3, CLASSES),
    )
