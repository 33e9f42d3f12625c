import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from saljax.ops import images


@pytest.mark.parametrize(
    ("shape", "sigma"), [((15, 3), 1.5), ((12, 17, 3), 2.0), ((6, 7, 8, 1), 4.0)]
)
def test_blur_equals_scipy_with_repeated_edges(shape, sigma):
    image = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    sigmas = (sigma,) * (len(shape) - 1) + (0.0,)
    expected = scipy.ndimage.gaussian_filter(image, sigmas, mode="nearest", truncate=4.0)
    np.testing.assert_allclose(images.blur(jnp.asarray(image), sigma), expected, atol=1e-5)


def test_blur_keeps_a_constant_and_sigma_zero_keeps_everything():
    np.testing.assert_allclose(images.blur(jnp.full((5, 6, 2), 0.3), 3.0), 0.3, rtol=1e-5)
    image = jnp.arange(24.0).reshape(3, 4, 2)
    assert images.blur(image, 0.0) is image
    with pytest.raises(ValueError, match="sigma"):
        images.blur(image, -1.0)


def test_resize_acts_on_leading_axes_and_averages_when_shrinking():
    image = jnp.asarray(np.random.default_rng(0).uniform(size=(8, 8, 3)), jnp.float32)
    assert images.resize(image, (4, 16)).shape == (4, 16, 3)
    assert images.resize(image[..., 0], (16, 16)).shape == (16, 16)
    np.testing.assert_allclose(images.resize(jnp.full((9, 7), 0.25), (5, 20)), 0.25, rtol=1e-6)
    # A linear ramp, shrunk by two with the triangle filter, stays the same ramp inside.
    ramp = jnp.arange(16.0)
    np.testing.assert_allclose(
        images.resize(ramp, (8,))[1:-1], np.arange(8)[1:-1] * 2 + 0.5, atol=1e-5
    )


@pytest.mark.usefixtures("as_users_run")
def test_colors_are_looked_at_where_they_are_known():
    colors = 255 * jnp.ones((2, 2, 3))
    for look in (
        lambda: images.check(colors),
        lambda: jax.make_jaxpr(lambda: images.check(colors))(),
    ):
        with pytest.raises(ValueError, match="colors up to 255. Divide them by 255"):
            look()
    images.check(colors[..., :1])  # what is no color has its own unit
    images.check(colors * jnp.nan)
    jax.jit(images.check)(colors)
