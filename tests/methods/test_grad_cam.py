import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax


def features(cnn):
    """The last spatial activation, without the library."""
    x = cnn.convolve((cnn.image[None] - 0.4) / 0.25, cnn.weights["first"])
    x = cnn.max_pool(jax.nn.relu(cnn.batch_norm(x, cnn.weights["norm"])))
    inside = cnn.convolve(x, cnn.weights["second"]) + cnn.weights["bias"][None, None, None]
    return np.asarray(jax.nn.relu(x + inside)[0], np.float64)


def test_equals_cam_on_a_network_that_averages_and_classifies(cnn):
    """Zhou et al.: CAM = sum_k w_k A_k; here a_k = w_k / (number of places)."""
    saliency = saljax.grad_cam(cnn.score_fn, cnn.image, 1, resize=False)
    cam = np.maximum(features(cnn) @ np.asarray(cnn.weights["dense"])[:, 1], 0) / 16
    assert saliency.shape == (4, 4)
    np.testing.assert_allclose(saliency, cam, rtol=1e-4, atol=1e-5)


def test_equals_the_papers_formula_at_an_earlier_layer(cnn):
    activation = np.asarray(saljax.core.taps.pullback(cnn.score_fn, cnn.image, "pooled").activation)

    def rest(x):
        inside = cnn.convolve(x, cnn.weights["second"]) + cnn.weights["bias"][None, None, None]
        return (jax.nn.relu(x + inside).mean((1, 2)) @ cnn.weights["dense"])[0, 2]

    gradient = np.asarray(jax.grad(rest)(jnp.asarray(activation)[None])[0])
    expected = np.zeros((4, 4))
    for k in range(6):
        expected += gradient[..., k].sum() / 16 * activation[..., k]
    saliency = saljax.grad_cam(cnn.score_fn, cnn.image, 2, layer="pooled", resize=False)
    np.testing.assert_allclose(saliency, np.maximum(expected, 0), rtol=1e-4, atol=1e-5)
    at_image_size = saljax.grad_cam(cnn.score_fn, cnn.image, 2, layer="pooled")
    assert at_image_size.shape == cnn.image.shape[:-1]
    resized = jax.image.resize(saliency, (8, 8), "linear")
    np.testing.assert_allclose(at_image_size, resized, rtol=1e-5)


def test_scaling_the_logit_scales_the_map(cnn):
    tripled = Partial(lambda f, x: 3 * f(x), cnn.score_fn)
    np.testing.assert_allclose(
        saljax.grad_cam(tripled, cnn.image, 0),
        3 * saljax.grad_cam(cnn.score_fn, cnn.image, 0),
        rtol=1e-4,
    )


def test_tokens_of_a_transformer(cnn):
    """Tokens in a row, a class token before them; `to_spatial` undoes it."""

    def tokens_score(weights, images):
        patches = images.reshape(len(images), 16, 12) @ weights["patch"]
        tokens = jnp.concatenate([jnp.zeros_like(patches[:, :1]), patches], axis=1)
        return jnp.tanh(saljax.tag(tokens, "tokens")).mean(1) @ weights["out"]

    rng = np.random.default_rng(0)
    weights = {
        "patch": jnp.asarray(rng.normal(size=(12, 5)), jnp.float32),
        "out": jnp.asarray(rng.normal(size=(5, 3)), jnp.float32),
    }
    score_fn = Partial(tokens_score, weights)
    saliency = saljax.grad_cam(
        score_fn, cnn.image, 1, layer="tokens", resize=False,
        to_spatial=lambda tokens: tokens[1:].reshape(4, 4, -1),
    )  # fmt: skip
    tokens = np.asarray(cnn.image).reshape(16, 12) @ np.asarray(weights["patch"])
    gradient = (1 - np.tanh(tokens) ** 2) * np.asarray(weights["out"])[:, 1] / 17
    expected = np.maximum(tokens @ gradient.mean(0), 0).reshape(4, 4)
    np.testing.assert_allclose(saliency, expected, rtol=1e-4, atol=1e-5)
    found = saljax.grad_cam(score_fn, cnn.image, 1, layer="tokens", resize=False)
    np.testing.assert_array_equal(found, saliency)  # 16 of 17 tokens, by patches of 2 x 2 alone
    with pytest.raises(ValueError, match="it tags tokens"):
        saljax.grad_cam(score_fn, cnn.image, 1)


def test_an_unknown_layer_is_answered_with_those_there_are(cnn):
    with pytest.raises(ValueError, match="pooled, block, mean; got 'layer4'"):
        saljax.grad_cam(cnn.score_fn, cnn.image, 1, layer="layer4")
