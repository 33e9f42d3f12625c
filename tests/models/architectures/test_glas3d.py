import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax import models
from saljax.data import volumes


@pytest.fixture(scope="module")
def score_fn():
    return models.load("glas3d")


def literally(model, volume):
    """The network of the paper's appendix, with a 3-D convolution and one voxel at a time."""
    x = np.asarray(volume) * 4 - 2
    for kernel, bias in zip(model.kernels, model.biases, strict=True):
        y = jax.lax.conv_general_dilated(
            jnp.asarray(x)[None],
            kernel[...],
            (1, 1, 1),
            [(1, 1)] * 3,
            dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
        )[0]
        y = np.maximum(np.asarray(y) + np.asarray(bias[...]), 0)
        half = len(y) // 2
        x = np.zeros((half, half, half, 10), np.float32)
        for d, h, w in np.ndindex(half, half, half):
            x[d, h, w] = y[2 * d : 2 * d + 2, 2 * h : 2 * h + 2, 2 * w : 2 * w + 2].max((0, 1, 2))
    x = x.reshape(-1)
    for layer in (model.fc1, model.fc2, model.fc3):
        x = x @ np.asarray(layer.kernel[...]) + np.asarray(layer.bias[...])
        if layer is not model.fc3:
            scale, alpha = 1.0507009873554805, 1.6732632423543772
            x = scale * np.where(x > 0, x, alpha * np.expm1(x))
    return x


def test_the_network_is_the_papers(score_fn):
    volume = volumes.volume(3, 0).image
    np.testing.assert_allclose(
        score_fn(jnp.asarray(volume)[None])[0], literally(score_fn, volume), rtol=1e-3, atol=1e-3
    )


def test_the_region_decides(score_fn):
    # Each subject as control and as patient: they differ in the deciding region only.
    for label in (0, 1):
        images = np.stack([volumes.volume(1234, i, label=label).image for i in range(40)])
        assert np.mean(np.asarray(score_fn(jnp.asarray(images))).argmax(axis=1) == label) >= 0.95


def test_dropout_is_for_training_only(score_fn, key):
    volume = jnp.asarray(volumes.volume(3, 0).image)[None]
    train = jax.jit(lambda score_fn, volume, key: score_fn(volume, key))
    keys = (key, key, jax.random.fold_in(key, 1))
    one, again, other = (train(score_fn, volume, k) for k in keys)
    np.testing.assert_array_equal(one, again)
    assert jnp.abs(one - other).max() > 1e-3
    assert jnp.abs(one - score_fn(volume)).max() > 1e-3
