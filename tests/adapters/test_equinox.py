"""Equinox models of one image, channels first, with a key and a state."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax

IMAGES = jnp.asarray(np.random.default_rng(0).uniform(size=(2, 4, 6, 3)), jnp.float32)


class Net(eqx.Module):
    conv: eqx.nn.Conv2d
    drop: eqx.nn.Dropout
    activation: object  # a function is a leaf of it

    def __init__(self):
        self.conv = eqx.nn.Conv2d(3, 2, 3, key=jax.random.key(0))
        self.drop = eqx.nn.Dropout(0.5)
        self.activation = jax.nn.relu

    def __call__(self, x, key):
        return self.activation(self.drop(self.conv(x), key=key)).mean((1, 2))


class Stateful(eqx.Module):
    norm: eqx.nn.BatchNorm
    last: eqx.nn.Linear

    def __init__(self):
        self.norm = eqx.nn.BatchNorm(3, "batch", mode="ema")
        self.last = eqx.nn.Linear(3, 2, key=jax.random.key(1))

    def __call__(self, x, state):
        x, state = self.norm(x, state)
        return self.last(x.mean((1, 2))), state


def test_a_model_of_one_image():
    model = Net()
    score_fn = saljax.scores.from_equinox(model)
    by_hand = []
    for image in IMAGES:
        x = model.conv(jnp.moveaxis(image, -1, 0))
        by_hand.append(jax.nn.relu(x).mean((1, 2)))
    np.testing.assert_allclose(score_fn(IMAGES), jnp.stack(by_hand), rtol=1e-5)

    def score(image):
        return jax.nn.relu(model.conv(jnp.moveaxis(image, -1, 0))).mean((1, 2))[1]

    found = saljax.explain(saljax.gradient, score_fn, IMAGES, [1, 1])
    expected = jax.vmap(lambda x: jnp.abs(jax.grad(score)(x)).max(-1))(IMAGES)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)
    guided = saljax.explain(saljax.guided_backprop, score_fn, IMAGES, [1, 1])
    assert guided.shape == (2, 4, 6)
    assert not model.drop.inference
    assert jax.jit(lambda f, x: f(x))(score_fn, IMAGES).shape == (2, 2)


def test_a_model_with_a_state():
    model, state = eqx.nn.make_with_state(Stateful)()
    score_fn = saljax.scores.from_equinox(model, state)
    frozen = eqx.nn.inference_mode(model)
    expected = [frozen(jnp.moveaxis(image, -1, 0), state)[0] for image in IMAGES]
    np.testing.assert_allclose(score_fn(IMAGES), jnp.stack(expected), rtol=1e-5)
    assert saljax.explain(saljax.gradient, score_fn, IMAGES, [0, 1]).shape == (2, 4, 6)


def test_a_model_with_channels_last():
    found = saljax.scores.from_equinox(
        eqx.nn.Lambda(lambda x: x.mean((0, 1))), channels_first=False
    )
    np.testing.assert_allclose(found(IMAGES), IMAGES.mean((1, 2)), rtol=1e-6)


def test_the_model_itself_is_named():
    for model in (Net(), eqx.nn.Lambda(lambda x: x.mean((1, 2, 3)))):
        with pytest.raises(ValueError, match=r"saljax\.scores\.from_equinox\(model\)"):
            saljax.explain(saljax.gradient, model, IMAGES, [0, 1])
