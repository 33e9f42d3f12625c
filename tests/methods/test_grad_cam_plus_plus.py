import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

import saljax


def grad_cam_plus_plus_literally(activation, gradient):
    """The paper's alpha, one channel and one place at a time."""
    height, width, channels = activation.shape
    saliency = np.zeros((height, width))
    for k in range(channels):
        weight, total = 0.0, activation[..., k].sum()
        for i in range(height):
            for j in range(width):
                g = gradient[i, j, k]
                denominator = 2 * g**2 + total * g**3
                alpha = g**2 / (denominator if denominator != 0 else 1)
                weight += alpha * max(g, 0)
        saliency += weight * activation[..., k]
    return np.maximum(saliency, 0)


def test_equals_the_papers_formula(cnn):
    seen = saljax.core.taps.activation_and_gradient(cnn.score_fn, cnn.image, 1, "pooled")
    expected = grad_cam_plus_plus_literally(*(np.asarray(x, np.float64) for x in seen))
    saliency = saljax.grad_cam_plus_plus(cnn.score_fn, cnn.image, 1, layer="pooled", resize=False)
    np.testing.assert_allclose(saliency, expected, rtol=1e-4)


def test_alpha_comes_from_the_derivatives_of_exp():
    """alpha = Y'' / (2 Y'' + Y''' sum A) for Y = exp(S), S linear in the activation."""
    a = jnp.asarray([0.5, 1.5, 0.25])
    slope = 0.7

    def y(first):
        return jnp.exp(slope * (first + a[1] + a[2]))

    second, third = jax.grad(jax.grad(y))(a[0]), jax.grad(jax.grad(jax.grad(y)))(a[0])
    alpha = second / (2 * second + third * a.sum())
    expected = 3 * alpha * slope * a
    image = a.reshape(1, 3, 1)
    score_fn = Partial(lambda s, x: s * saljax.tag(x, "x").sum((1, 2)), jnp.float32(slope))
    saliency = saljax.grad_cam_plus_plus(score_fn, image, 0, layer="x")
    np.testing.assert_allclose(saliency[0], expected, rtol=1e-5)


def test_with_one_gradient_a_channel_the_normalized_alpha_gives_grad_cam(cnn):
    """Behind an average every place of a channel has the same gradient: alpha is uniform."""
    dense = jnp.abs(cnn.weights["dense"])
    score_fn = Partial(cnn.logits, {**cnn.weights, "dense": dense})
    plain = saljax.grad_cam(score_fn, cnn.image, 0)
    plus, raw = (
        saljax.grad_cam_plus_plus(score_fn, cnn.image, 0, normalize_alpha=normalize)
        for normalize in (True, False)
    )
    assert float(plain.max()) > 0
    np.testing.assert_allclose(plus / plus.max(), plain / plain.max(), rtol=1e-4, atol=1e-6)
    assert float(jnp.abs(raw / raw.max() - plain / plain.max()).max()) > 1e-3


def test_large_logits_do_not_overflow(cnn):
    score_fn = Partial(lambda w, x: cnn.logits(w, x) * 1e14, cnn.weights)
    assert np.isfinite(saljax.grad_cam_plus_plus(score_fn, cnn.image, 0)).all()
