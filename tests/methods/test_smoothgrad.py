import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax


def test_equals_the_mean_gradient_of_noisy_copies_one_by_one(cnn, key):
    raw = saljax.smoothgrad(
        cnn.score_fn, cnn.image, 1, key=key, num_samples=6, noise=0.2, reduce=None
    )
    total = jnp.zeros_like(cnn.image)
    gradient = jax.jit(jax.grad(lambda x: cnn.score_fn(x[None])[0, 1]))
    deviation = 0.2 * float(cnn.image.max() - cnn.image.min())
    for one in jax.random.split(key, 6):
        total += gradient(cnn.image + deviation * jax.random.normal(one, cnn.image.shape))
    np.testing.assert_allclose(raw, total / 6, rtol=1e-3, atol=1e-4)


def test_without_noise_it_is_the_gradient(cnn, key):
    smooth = saljax.smoothgrad(cnn.score_fn, cnn.image, 1, key=key, num_samples=3, noise=0.0)
    plain = saljax.gradient(cnn.score_fn, cnn.image, 1)
    np.testing.assert_allclose(smooth, plain, rtol=1e-4, atol=1e-5)


def test_of_a_linear_score_it_is_the_gradient_for_any_noise(linear, key):
    smooth = saljax.smoothgrad(linear.score_fn, linear.image, 0, key=key, num_samples=4, noise=0.9)
    np.testing.assert_allclose(smooth, saljax.gradient(linear.score_fn, linear.image, 0), rtol=1e-4)


@pytest.mark.usefixtures("as_users_run")
def test_wrong_hyperparameters(linear, key):
    with pytest.raises(ValueError, match="`num_samples` must be greater than 0; got 0"):
        saljax.smoothgrad(linear.score_fn, linear.image, 0, key=key, num_samples=0)
