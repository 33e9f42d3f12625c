import jax
import jax.numpy as jnp
import numpy as np

import saljax
from saljax import metrics
from saljax.ops import maps

IMAGE = jnp.asarray(np.random.default_rng(0).uniform(size=(4, 5, 3)), jnp.float32)
WEIGHTS = jnp.asarray(np.random.default_rng(1).normal(size=(60, 3)), jnp.float32)


def linear(images):
    return jnp.matmul(images.reshape(len(images), -1), WEIGHTS)


def curved(images):
    return jnp.square(linear(images))


def test_contributions_to_a_linear_score_are_complete():
    gray = IMAGE.mean((0, 1))
    saliency = ((IMAGE - gray[None, None]) * WEIGHTS[:, 1].reshape(IMAGE.shape)).sum(-1)
    change = float(saliency.sum())
    found = metrics.completeness(linear, IMAGE, 1, saliency, baseline=gray)
    np.testing.assert_allclose(found, [0, 0], atol=1e-4)
    saliency = saliency.at[2, 2].add(0.5)
    found = metrics.completeness(linear, IMAGE, 1, saliency, baseline=gray)
    np.testing.assert_allclose(found, [0.5, 0.5 / abs(change)], rtol=1e-3)


def test_integrated_gradients_are_complete_and_the_gradient_is_not():
    signed = saljax.integrated_gradients(curved, IMAGE, 0, reduce=maps.total)
    assert metrics.completeness(curved, IMAGE, 0, signed).relative < 0.01
    other = saljax.gradient(curved, IMAGE, 0, reduce=maps.total)
    assert metrics.completeness(curved, IMAGE, 0, other).relative > 0.1


def test_what_cannot_be_measured():
    def constant(images):
        return jnp.ones((len(images), 2))

    found = metrics.completeness(constant, IMAGE, 0, jnp.zeros((4, 5)))
    assert found.delta == 0 and np.isnan(found.relative)
    found = jax.jit(lambda s: metrics.completeness(linear, IMAGE, 7, s))(jnp.ones((4, 5)))
    assert np.isnan(found).all()
