"""Keras models: weights of now, never in training, never changed."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax

os.environ["KERAS_BACKEND"] = "jax"
keras = pytest.importorskip("keras")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras on numpy

IMAGES = jnp.asarray(np.random.default_rng(0).uniform(size=(2, 8, 8, 3)), jnp.float32)


@pytest.fixture(autouse=True)
def as_keras_runs(as_users_run):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture
def model():
    """With layers that draw and count in training, and two outputs."""
    image = keras.Input((8, 8, 3))
    x = keras.layers.RandomFlip()(image)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, activation="relu")(x))
    x = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, {"logits": keras.layers.Dense(3)(x), "hidden": x})


def test_the_map_is_that_of_the_weights_of_now(model):
    score_fn = saljax.scores.from_keras(model, "logits")
    expected = model(IMAGES, training=False)["logits"]
    np.testing.assert_allclose(score_fn(IMAGES), expected, rtol=1e-5)
    before = saljax.explain(saljax.gradient, score_fn, IMAGES, [0, 1])
    again = saljax.explain(saljax.gradient, score_fn, IMAGES, [0, 1])
    np.testing.assert_array_equal(before, again)
    predicted = model.predict(np.asarray(IMAGES), verbose=0)["logits"]
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-6)
    *others, kernel, bias = model.get_weights()
    model.set_weights([*others, 2 * kernel, bias])
    after = saljax.explain(saljax.gradient, score_fn, IMAGES, [0, 1])
    np.testing.assert_allclose(after, 2 * before, rtol=1e-5)


def test_the_model_itself_is_named_and_not_touched(model):
    weights = model.get_weights()
    for score_fn in (model, model.predict):
        with pytest.raises(ValueError, match=r"saljax\.scores\.from_keras\(model\)"):
            saljax.explain(saljax.gradient, score_fn, IMAGES, [0, 1])
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.predict(np.asarray(IMAGES), verbose=0)["logits"].shape == (2, 3)


def test_several_outputs_are_listed(model):
    with pytest.raises(ValueError, match=r"got dict of 'hidden', 'logits'|'logits', 'hidden'"):
        saljax.explain(saljax.gradient, saljax.scores.from_keras(model), IMAGES, [0, 1])


def test_a_model_that_is_not_built():
    with pytest.raises(ValueError, match="has no weights yet"):
        saljax.scores.from_keras(keras.Sequential([keras.layers.Dense(2)]))
