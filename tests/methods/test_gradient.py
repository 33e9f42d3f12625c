import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax


def test_a_linear_score_has_its_weights_as_gradient(linear):
    saliency = saljax.gradient(linear.score_fn, linear.image, 1)
    np.testing.assert_allclose(saliency, np.abs(linear.weights[..., 1]).max(-1), rtol=1e-5)
    raw = saljax.gradient(linear.score_fn, linear.image, 1, reduce=None)
    np.testing.assert_allclose(raw, linear.weights[..., 1], rtol=1e-5)
    times = saljax.input_x_gradient(linear.score_fn, linear.image, 2)
    expected = (linear.image * linear.weights[..., 2]).sum(-1)
    np.testing.assert_allclose(times, expected, rtol=1e-4, atol=1e-6)


def test_is_the_derivative_of_the_targets_score_alone(cnn):
    raw = saljax.gradient(cnn.score_fn, cnn.image, 2, reduce=None)
    expected = jax.grad(lambda x: cnn.score_fn(x[None])[0, 2])(cnn.image)
    np.testing.assert_allclose(raw, expected, rtol=1e-5, atol=1e-6)


def test_explains_what_the_batch_around_it_does_not_change(cnn):
    images = jnp.stack([cnn.image, 1 - cnn.image])
    together = saljax.explain(saljax.gradient, cnn.score_fn, images, [0, 2])
    for saliency, image, target in zip(together, images, [0, 2], strict=True):
        alone = saljax.gradient(cnn.score_fn, image, target)
        np.testing.assert_allclose(saliency, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "method",
    [
        saljax.gradient,
        functools.partial(saljax.smoothgrad, key=jax.random.key(0)),
        saljax.integrated_gradients,
        saljax.grad_cam,
        saljax.guided_backprop,
        saljax.excitation_backprop,
        saljax.lrp,
    ],
)
def test_several_targets_are_refused_in_one_line(cnn, method):
    with pytest.raises(ValueError, match=r"`target` must be one class index .* shape \(2,\)"):
        method(cnn.score_fn, cnn.image, jnp.asarray([0, 1]))


SECOND = {"softplus": 0.25, "silu": 0.5, "celu": None, "relu": 0.0}
"""Of celu, which has two, the one that JAX takes."""


@pytest.mark.parametrize("name", SECOND)
def test_the_derivative_of_a_gradient_at_zero(name):
    """Black pixels without a bias; attacks on explanations and penalties of training take it."""
    smooth = getattr(jax.nn, name)

    def score(weights, images):
        return smooth(images.reshape(len(images), -1)) @ weights

    score_fn, image = jax.tree_util.Partial(score, jnp.ones((4, 1))), jnp.zeros((2, 2, 1))
    found = jax.grad(lambda x: saljax.gradient(score_fn, x, 0, reduce=None).sum())(image)
    expected = jax.grad(jax.grad(smooth))(0.0)
    if SECOND[name] is not None:
        np.testing.assert_allclose(expected, SECOND[name])
    np.testing.assert_allclose(found, np.full((2, 2, 1), expected), atol=1e-6)
