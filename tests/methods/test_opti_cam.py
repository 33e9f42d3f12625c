"""Opti-CAM: by hand, and against a loop of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import Partial

import saljax


def layered(weights, images):
    """A layer that is always the same, and scores that like some pixels."""
    layer = saljax.tag(weights["layer"][None] + 0 * images[..., :1], "layer")
    scores = images[..., 0] @ weights["likes"] + 0 * layer.sum((1, 2))
    return jnp.stack([scores, -scores], axis=1)


def asked(layer, likes, **keywords):
    weights = {"layer": jnp.asarray(layer, jnp.float32), "likes": jnp.asarray(likes, jnp.float32)}
    image = jnp.ones((len(likes), 1))
    return saljax.opti_cam(
        Partial(layered, weights), image, 0, layer="layer", to_spatial=lambda a: a, **keywords
    )


def test_one_channel_is_its_own_map():
    np.testing.assert_allclose(asked([[1.0], [3.0], [2.0]], [1, 0, 0]), [0, 1, 0.5], atol=1e-6)


def test_the_start_is_the_mean_of_the_channels():
    """A score that likes nothing moves no weight."""
    found = asked([[1, 0], [0, 3], [0.5, 0.5]], [0, 0, 0])
    np.testing.assert_allclose(found, [0, 1, 0], atol=1e-6)


def test_the_channel_that_shows_what_the_class_likes_wins():
    layer = [[1, 0], [0, 1], [0.8, 0]]
    found = asked(layer, [0, -1, 1], num_steps=200)
    assert found[2] > 0.7 and found[1] == 0
    np.testing.assert_allclose(asked(layer, [0, 0, 0]), [1, 1, 0.0], atol=1e-6)


def test_equals_a_loop_written_out(cnn):
    activation = jnp.asarray(
        saljax.core.taps.pullback(cnn.score_fn, cnn.image, "pooled").activation
    )

    def saliency_of(w):
        mixed = sum(a * jax.nn.relu(activation[..., k]) for k, a in enumerate(jax.nn.softmax(w)))
        up = jax.image.resize(mixed, (8, 8), "linear")
        return (up - up.min()) / (up.max() - up.min())

    def loss(w):
        return -cnn.score_fn((cnn.image * saliency_of(w)[..., None])[None])[0, 1]

    w = jnp.full(6, 0.5)
    optimizer = optax.adam(0.1)
    memory = optimizer.init(w)
    step = jax.jit(jax.grad(loss))
    for _ in range(4):
        with jax.numpy_dtype_promotion("standard"):
            updates, memory = optimizer.update(step(w), memory)
        w = w + updates
    found = saljax.opti_cam(cnn.score_fn, cnn.image, 1, layer="pooled", num_steps=4)
    np.testing.assert_allclose(found, saliency_of(w), atol=1e-4)


def test_wrong_numbers_are_said(cnn):
    with pytest.raises(ValueError, match="`learning_rate` must be"):
        saljax.opti_cam(cnn.score_fn, cnn.image, 1, learning_rate=0.0)
