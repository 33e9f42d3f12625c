import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from jax.tree_util import Partial

from saljax import metrics

SHAPE = (12, 16)
PIXELS = 192
IMAGE = np.random.default_rng(0).uniform(size=(*SHAPE, 3)).astype(np.float32)


def linear(weights, images):
    return jax.nn.softmax(images.reshape(len(images), -1) @ weights)


def clean_share(image, images):
    """The share of pixels that are as in the image."""
    clean = (jnp.abs(images - image[None]) < 1e-6).all(-1)
    return clean.mean((1, 2)).astype(jnp.float32)[:, None]


def one_pixel(image, images):
    """Whether the pixel (2, 5) is as in the image."""
    clean = (jnp.abs(images[:, 2, 5] - image[None, 2, 5]) < 1e-6).all(-1)
    return clean.astype(jnp.float32)[:, None]


def random_weights(seed):
    return jnp.asarray(np.random.default_rng(seed).normal(0, 0.05, (PIXELS * 3, 4)), jnp.float32)


LINEAR, IN_CLEAN = Partial(linear, random_weights(3)), Partial(clean_share, jnp.asarray(IMAGE))


@functools.partial(jax.jit, static_argnames=("num_steps", "sigma", "kernel", "tie_break"))
def curve(score_fn, saliency, target=0, **settings):
    return metrics.faithfulness_curve(score_fn, jnp.asarray(IMAGE), target, saliency, **settings)


def random_map(seed):
    return jnp.asarray(np.random.default_rng(seed).normal(size=SHAPE), jnp.float32)


def literally(saliency, target, num_steps, sigma, kernel, tie_break):
    """S3's steps for one image: blur, rank, put the first i * Delta pixels back, ask."""
    offsets = np.arange(kernel) - kernel // 2
    window = np.exp(-(offsets**2) / (2 * sigma**2))
    blurred, smooth = IMAGE.astype(np.float64), np.asarray(saliency, np.float64)
    for axis in (0, 1):
        weights = window / window.sum()
        blurred = scipy.ndimage.correlate1d(blurred, weights, axis, mode="nearest")
        smooth = scipy.ndimage.correlate1d(smooth, weights, axis, mode="nearest")
    scored = np.asarray(saliency, np.float64) + tie_break * smooth
    order = sorted(np.ndindex(SHAPE), key=lambda p: -scored[p])
    found = []
    for step in range(1, num_steps + 1):
        shown = blurred.copy()
        for pixel in order[: step * PIXELS // num_steps]:
            shown[pixel] = IMAGE[pixel]
        found.append(float(LINEAR(jnp.asarray(shown[None], jnp.float32))[0, target]))
    return found


DEFAULT = dict(num_steps=32, sigma=10.0, kernel=55, tie_break=1e-3)
SMALL = dict(num_steps=6, sigma=2.0, kernel=5, tie_break=0.1)
BY_MAP = {**SMALL, "tie_break": 0.0}


@pytest.mark.parametrize(("levels", "settings"), [(None, DEFAULT), (3, SMALL), (3, BY_MAP)])
def test_the_curve_equals_the_papers_steps(levels, settings):
    saliency = random_map(1)
    if levels:
        saliency = jnp.round(jax.nn.sigmoid(saliency) * levels) / levels  # many equal values
    expected = literally(saliency, 2, **settings)
    np.testing.assert_allclose(curve(LINEAR, saliency, 2, **settings), expected, rtol=1e-4)
    assert max(expected) > 1.05 * min(expected)


def test_closed_forms():
    of = jax.jit(lambda f, s: metrics.faithfulness(f, jnp.asarray(IMAGE), 0, s))
    for seed in (0, 1):
        np.testing.assert_allclose(of(IN_CLEAN, random_map(seed)), 51.5625, rtol=1e-6)
    same = Partial(linear, jnp.zeros((PIXELS * 3, 4)))  # 1/4 for each of four classes
    np.testing.assert_allclose(curve(same, random_map(0), 2, **DEFAULT), 0.25, rtol=1e-6)
    assert jnp.isnan(of(IN_CLEAN, random_map(0).at[3, 3].set(jnp.nan)))


def test_the_last_point_is_the_clean_image():
    np.testing.assert_allclose(
        curve(LINEAR, random_map(0), 2, **SMALL)[-1],
        LINEAR(jnp.asarray(IMAGE[None]))[0, 2],
        rtol=1e-6,
    )


def test_ranks_alone_count():
    saliency = random_map(4)
    one = curve(LINEAR, saliency, 2, **BY_MAP)
    for monotone in (jnp.tanh(saliency), jnp.exp(saliency), 5 * saliency - 3):
        np.testing.assert_array_equal(curve(LINEAR, monotone, 2, **BY_MAP), one)
    assert float(jnp.abs(curve(LINEAR, -saliency, 2, **BY_MAP) - one).max()) > 0


def test_over_all_shifts_of_a_ranking_each_pixel_is_among_the_first_as_often():
    image = jnp.asarray(IMAGE[:4, :8])
    order = jnp.arange(32, dtype=jnp.float32)
    shifts = jnp.stack([jnp.roll(order, k).reshape(4, 8) for k in range(32)])
    one = Partial(one_pixel, image)
    curves = jax.jit(jax.vmap(lambda s: metrics.faithfulness_curve(one, image, 0, s)))(shifts)
    np.testing.assert_allclose(curves.mean(axis=0), np.arange(1, 33) / 32, rtol=1e-6)


def test_among_equals_those_near_others_come_first():
    """A lone pixel and a block of the same value; the first sixth of the picture is the block."""
    saliency = jnp.zeros(SHAPE).at[1, 2].set(1.0).at[4:8, 6:14].set(1.0)
    block = np.zeros(SHAPE, np.float32)
    block[4:8, 6:14] = 1 / 32

    def in_block(images):
        clean = (jnp.abs(images - IMAGE[None]) < 1e-6).all(-1)
        return (clean.astype(jnp.float32) * block[None]).sum((1, 2))[:, None]

    assert curve(Partial(in_block), saliency, **SMALL).tolist() == [1.0] * 6


def test_relative_to_the_other_methods():
    curves = jnp.asarray([[0.1, 0.3], [0.5, 0.5], [0.2, 0.6]])
    relative = jax.jit(metrics.faithfulness_relative)
    np.testing.assert_allclose(relative(curves), [0, 100, 200 / 3], rtol=1e-5)
    assert relative(jnp.full((3, 2), 0.4)).tolist() == [0, 0, 0]


def test_images_are_made_inside_the_chunk():
    def temporary_bytes(num_steps):
        run = jax.jit(
            lambda s: metrics.faithfulness(
                IN_CLEAN, jnp.asarray(IMAGE), 0, s, num_steps=num_steps, chunk_size=4
            )
        )
        return run.lower(random_map(0)).compile().memory_analysis().temp_size_in_bytes

    assert temporary_bytes(64) - temporary_bytes(16) < IMAGE.nbytes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_steps": 0}, "`num_steps` must be greater than 0; got 0"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"tie_break": -1.0}, "`tie_break` must be at least 0; got -1.0"),
        ({"sigma": 0.0}, "sigma"),
        ({"kernel": 8}, "`kernel` must be odd; got 8"),
        ({"saliency": jnp.zeros((12, 15))}, r"spatial shape, \(12, 16\); got \(12, 15\)"),
        ({"target": jnp.asarray([0, 1])}, r"one class index, that of the map; got shape \(2,\)"),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_wrong_input(change, message):
    given = {"target": 0, "saliency": jnp.zeros(SHAPE), **change}
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: metrics.faithfulness(LINEAR, jnp.asarray(IMAGE), **given))


@pytest.mark.usefixtures("as_users_run")
def test_relative_wants_the_curves_of_one_image():
    with pytest.raises(ValueError, match=r"must be \(methods, steps\) of one image; got \(2, 3, 4"):
        metrics.faithfulness_relative(jnp.zeros((2, 3, 4)))
