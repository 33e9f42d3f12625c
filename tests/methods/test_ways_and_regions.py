"""Guided and blur integrated gradients, XRAI: values by hand and slow twins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import saljax
from saljax.methods.gradients.xrai import by_gain


def signal(function):
    """A classifier of a signal of several pixels."""
    return lambda images: function(images[..., 0])[:, None]


def guided(function, pixels, **keywords):
    image = jnp.asarray(pixels, jnp.float32)[:, None]
    return saljax.guided_ig(signal(function), image, 0, reduce=None, **keywords)[:, 0]


def test_guided_of_a_linear_score_and_of_a_sum():
    weights = jnp.asarray([2.0, -1.0, 0.5])
    found = guided(lambda x: x @ weights, [1, 2, 3], num_steps=7)
    np.testing.assert_allclose(found, [2, -2, 1.5], rtol=1e-5)
    found = guided(lambda x: x[:, 0] ** 2 + x[:, 1], [1, 2])
    np.testing.assert_allclose(found, [0.994, 2], atol=2e-3)


def product(x):
    return 3 * x[:, 0] * x[:, 1] + x[:, 1]


def test_guided_waits_for_the_pixel_that_matters_least():
    np.testing.assert_allclose(guided(product, [1, 1], max_distance=1.0), [0, 4], atol=0.05)
    np.testing.assert_allclose(guided(product, [1, 1], max_distance=0.0), [1.5, 2.5], atol=0.02)


def guided_literally(gradient, image, num_steps, fraction, distance):
    """From black, value by value, in float64."""
    x, found, total = np.zeros_like(image), np.zeros_like(image), np.abs(image).sum()
    for k in range(num_steps):
        g, old, alpha = gradient(x), x.copy(), (k + 1) / num_steps
        low, high = max(alpha - distance, 0) * image, min(alpha + distance, 1) * image
        behind = np.abs(x) < np.abs(low)
        x[behind] = low[behind]
        while np.abs(image - x).sum() - total * (1 - alpha) > 1e-9:
            size = np.where((x == high) | (image == 0), np.inf, np.abs(g))
            limit = np.quantile(size, fraction, method="lower")
            moving = (size <= limit) & np.isfinite(size)
            if not moving.any():
                break
            need = np.abs(image - x).sum() - total * (1 - alpha)
            part = need / np.abs(high - x)[moving].sum()
            x[moving] = high[moving] if part >= 1 else (x + part * (high - x))[moving]
        found += (x - old) * g
    return found


@pytest.mark.parametrize("distance", [0.02, 0.4])
def test_guided_is_the_procedure_of_its_authors(distance):
    rng = np.random.default_rng(0)
    a, image = rng.normal(size=(12, 12)), rng.uniform(size=12)
    a, image[3] = a + a.T, 0

    def f(x):
        return jnp.einsum("ni,ij,nj->n", x, jnp.asarray(a, jnp.float32), x) / 2

    found = guided(f, image, num_steps=9, max_distance=distance)
    expected = guided_literally(lambda x: a @ x, image, 9, 0.25, distance)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert found[3] == 0


@pytest.mark.parametrize("padding", ["zero", "edge"])
def test_blur_of_a_linear_score_is_what_blurring_takes_away(padding):
    """A linear score is exact but for the midpoint rule; scipy blurs the end of the way."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    image, weights = rng.uniform(size=(9, 7, 2)), rng.normal(size=(9, 7, 2))

    def score_fn(images):
        return (images * jnp.asarray(weights, jnp.float32)[None]).sum((1, 2, 3))[:, None]

    found = saljax.blur_ig(
        score_fn, jnp.asarray(image, jnp.float32), 0, max_sigma=3.0, num_steps=200, reduce=None,
        padding=padding, chunk_size=40,
    )  # fmt: skip
    mode = {"zero": "constant", "edge": "nearest"}[padding]
    blurred = gaussian_filter(image, (3, 3, 0), mode=mode, truncate=4.0)
    np.testing.assert_allclose(found, weights * (image - blurred), rtol=0.02, atol=2e-3)


def by_gain_literally(attribution, candidates, least):
    found, free, left = np.zeros_like(attribution), np.ones(len(attribution), bool), []
    left = list(range(len(candidates)))
    while True:
        left = [s for s in left if (candidates[s] & free).sum() >= least]
        if not left:
            break
        gains = [attribution[candidates[s] & free].mean() for s in left]
        best = int(np.argmax(gains))
        new = candidates[left.pop(best)] & free
        found[new], free = gains[best], free & ~new
    if free.any():
        found[free] = attribution[free].mean()
    return found


def test_segments_are_taken_by_their_gain():
    attribution = jnp.asarray([1.0, 1, 5, 5, 0, 0])
    members = np.asarray([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]], bool)
    members = np.concatenate([members, members[:1] | members[1:2]])
    np.testing.assert_allclose(by_gain(attribution, jnp.asarray(members), 1), attribution)
    whole = by_gain(attribution, jnp.ones((1, 6), bool), 1)
    np.testing.assert_allclose(whole, 2, rtol=1e-6)


def test_segments_are_taken_as_one_would():
    rng = np.random.default_rng(0)
    attribution, members = rng.normal(size=60), rng.uniform(size=(15, 60)) < 0.2
    expected = by_gain_literally(attribution, members, 4)
    assert len(np.unique(expected)) > 4
    members = np.concatenate([members, members])
    found = jax.jit(by_gain, static_argnums=2)(
        jnp.asarray(attribution, jnp.float32), jnp.asarray(members), 4
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_xrai_of_a_linear_score():
    """Integrated gradients are w (x - b); labels, masks and one mask for all pixels."""
    rng = np.random.default_rng(0)
    image, weights = (jnp.asarray(rng.uniform(size=(4, 4, 2)), jnp.float32) for _ in range(2))

    def score(weights, images):
        return (images * weights[None]).sum((1, 2, 3))[:, None]

    def xrai(segments):
        return saljax.xrai(
            Partial(score, weights), image, 0, segments=segments, min_pixels=2, num_steps=2
        )

    away = image - (image.min() + image.max()) / 2
    attribution = (weights * away).max(axis=-1)
    labels = np.arange(16).reshape(4, 4) // 4
    found = xrai(labels)
    np.testing.assert_allclose(found, attribution.mean(axis=1)[labels], rtol=1e-4, atol=1e-6)
    as_masks = xrai(np.stack([labels == k for k in range(4)]))
    np.testing.assert_array_equal(found, as_masks)
    whole = xrai(np.ones((1, 4, 4), bool))
    np.testing.assert_allclose(whole, attribution.mean(), rtol=1e-4)


@pytest.mark.usefixtures("as_users_run")
def test_wrong_settings_are_said():
    image = jnp.ones((4, 1))
    score_fn = signal(lambda x: x.sum(axis=1))
    with pytest.raises(ValueError, match="`padding` must be 'zero' or 'edge'; got 'reflect'"):
        saljax.blur_ig(score_fn, image, 0, padding="reflect")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="`max_distance` must be at most 1; got 2"):
        saljax.guided_ig(score_fn, image, 0, max_distance=2)
    with pytest.raises(ValueError, match=r"masks \(S, 4,\) or labels \(4,\).*got \(5,\)"):
        saljax.xrai(score_fn, image, 0, segments=np.arange(5))
    with pytest.raises(ValueError, match="give masks"):
        jax.jit(lambda s: saljax.xrai(score_fn, image, 0, segments=s))(jnp.arange(4))
