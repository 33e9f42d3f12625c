import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from saljax.metrics.faithfulness import baselines
from saljax.ops import images


def filtered(image, kernel):
    return np.stack(
        [scipy.ndimage.correlate(c, kernel, mode="nearest") for c in np.moveaxis(image, -1, 0)], -1
    )


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(size=(12, 16, 3)).astype(np.float32)


def test_rise_blur_equals_the_kernel_of_its_code(image):
    """A point in a window of 11 x 11 pixels, filtered with reflection at the window's ends."""
    point = np.zeros((11, 11))
    point[5, 5] = 1
    expected = filtered(image, scipy.ndimage.gaussian_filter(point, 5))
    np.testing.assert_allclose(
        jax.jit(baselines.rise_blur)(jnp.asarray(image)), expected, atol=1e-6
    )


def test_a_gaussian_window_is_cut_and_normalized(image):
    offsets = np.arange(-2, 3)
    kernel = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    blur = jax.jit(lambda x: images.blur(x, 1.5, 2))
    np.testing.assert_allclose(
        blur(jnp.asarray(image)), filtered(image, kernel / kernel.sum()), atol=1e-6
    )


def test_a_window_wider_than_a_volume_keeps_a_constant():
    blur = jax.jit(lambda x: images.blur(x, 10.0, 27))
    np.testing.assert_allclose(blur(jnp.full((3, 4, 5, 1), 0.7)), 0.7, rtol=1e-5)


def test_wrong_input():
    with pytest.raises(ValueError, match="has three channels and this image 1"):
        baselines.imagenet_mean(jnp.zeros((4, 4, 1)))
