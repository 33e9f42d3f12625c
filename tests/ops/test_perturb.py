import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax
from saljax.ops import images, perturb


@pytest.fixture
def image():
    return jnp.asarray(np.random.default_rng(3).uniform(size=(6, 7, 3)), jnp.float32)


def test_perturb_is_the_formula(image):
    mask = jnp.asarray(np.random.default_rng(4).uniform(size=(6, 7)), jnp.float32)
    baseline = 1 - image
    expected = np.zeros((6, 7, 3), np.float32)
    for r in range(6):
        for c in range(7):
            expected[r, c] = image[r, c] * mask[r, c] + baseline[r, c] * (1 - mask[r, c])
    np.testing.assert_allclose(saljax.perturb(image, mask, baseline), expected, atol=1e-6)


def test_light_and_shadow_of_one_mask_add_up_to_the_image(image):
    light = saljax.gaussian_mask((6, 7), (2, 3), 2.0)
    both = saljax.perturb(image, light) + saljax.perturb(image, 1 - light)
    np.testing.assert_allclose(both, image, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_rank_and_number_of_channels(rank, channels):
    image = jnp.ones((4,) * rank + (channels,))
    color = jnp.arange(1.0, channels + 1)
    dark = saljax.perturb(image, jnp.zeros((4,) * rank), color)
    np.testing.assert_array_equal(dark.reshape(-1, channels), np.tile(color, (4**rank, 1)))


@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (
            np.zeros(5),
            r"broadcast to the image, \(6, 7, 3\): .*\(3,\) or an image; got shape \(5,\)",
        ),
        (np.zeros((6, 7)), r"got shape \(6, 7\)"),
        (lambda image: image[None], r"got shape \(1, 6, 7, 3\)"),
        ("black", "numbers or a function of the image; got 'black'"),
    ],
)
def test_a_baseline_that_does_not_fit_is_named(image, baseline, message):
    with pytest.raises(ValueError, match=f"`baseline` must .*{message}"):
        saljax.perturb(image, jnp.ones((6, 7)), baseline)


@pytest.mark.usefixtures("as_users_run")
def test_a_mask_of_another_shape_is_named(image):
    with pytest.raises(ValueError, match=r"\(6, 7\); got \(7, 6\)"):
        saljax.perturb(image, jnp.zeros((7, 6)))


def test_baselines(image, key):
    none = jnp.zeros((6, 7))
    np.testing.assert_array_equal(saljax.perturb(image, none, perturb.black), jnp.zeros((6, 7, 3)))
    mean = saljax.perturb(image, none, perturb.mean_color)
    np.testing.assert_allclose(mean[2, 3], np.asarray(image).mean((0, 1)), rtol=1e-5)
    blurred = saljax.perturb(image, none, perturb.blurred(2.0))
    np.testing.assert_allclose(blurred, images.blur(image, 2.0))
    noise = saljax.perturb(image, none, functools.partial(perturb.noise, key=key))
    assert noise.min() >= 0 and noise.max() <= 1 and noise.std() > 0.05
    color = saljax.perturb(image, none, functools.partial(perturb.random_color, key=key))
    np.testing.assert_array_equal(color, jnp.broadcast_to(color[:1, :1], color.shape))
    assert not np.array_equal(color, perturb.random_color(image, jax.random.fold_in(key, 1)))


def blurred_by_hand(image, sigma, color):
    """Truncated at 4 sigma, along one axis after the other, with the color around the image."""
    reach = int(4 * sigma + 0.5)
    weights = {o: np.exp(-(o**2) / (2 * sigma**2)) for o in range(-reach, reach + 1)}
    total = sum(weights.values())
    values = np.asarray(image, np.float64) - color
    for axis in range(image.ndim - 1):
        n = image.shape[axis]
        rows = [
            sum(w * values.take(i + o, axis) for o, w in weights.items() if 0 <= i + o < n) / total
            for i in range(n)
        ]
        values = np.stack(rows, axis)
    return values + color


@pytest.mark.parametrize("shape", [(9, 2), (6, 7, 3)])
def test_blur_pyramid(shape):
    image = jnp.asarray(np.random.default_rng(5).uniform(size=shape), jnp.float32)
    color = np.linspace(0.2, 0.6, shape[-1], dtype=np.float32)
    pyramid = jax.jit(functools.partial(perturb.blur_pyramid, num_levels=4, max_blur=3.0))
    levels = pyramid(image, color=jnp.broadcast_to(color, shape))
    for level, sigma in zip(levels[:3], (3.0, 2.0, 1.0), strict=True):
        np.testing.assert_allclose(level, blurred_by_hand(image, sigma, color), atol=1e-6)
    np.testing.assert_array_equal(levels[3], image)

    spatial = shape[:-1]
    np.testing.assert_array_equal(perturb.between(levels, jnp.ones(spatial)), image)
    np.testing.assert_array_equal(perturb.between(levels, jnp.zeros(spatial)), levels[0])
    halfway = perturb.between(levels, jnp.full(spatial, 0.5))
    np.testing.assert_allclose(halfway, (levels[1] + levels[2]) / 2, atol=1e-6)


def test_between_two_levels_is_blend_with_its_derivative(image):
    mask = jnp.asarray(np.random.default_rng(6).uniform(size=(6, 7)), jnp.float32).at[0].set(1)
    baseline = 1 - image
    ours, back = jax.vjp(lambda m: perturb.between(jnp.stack([baseline, image]), m), mask)
    expected, expected_back = jax.vjp(lambda m: perturb.blend(image, m, baseline), mask)
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    np.testing.assert_allclose(back(image)[0], expected_back(image)[0], atol=1e-6)
