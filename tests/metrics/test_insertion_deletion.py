import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from saljax import metrics
from saljax.metrics.faithfulness import baselines

SHAPE = (12, 16)
PIXELS = 192
IMAGE = np.random.default_rng(0).uniform(size=(*SHAPE, 3)).astype(np.float32)
MEAN = IMAGE.mean((0, 1))
BLURRED = jax.jit(baselines.rise_blur)(jnp.asarray(IMAGE))


def linear(weights, images):
    return jax.nn.softmax(images.reshape(len(images), -1) @ weights)


def clean(image, images):
    return (jnp.abs(images - image[None]) < 1e-6).all(-1).astype(jnp.float32)


def share_and_pixel(image, images):
    """The share of pixels that are as in the image, and whether the pixel (4, 5) is."""
    same = clean(image, images)
    return jnp.stack([same.mean((1, 2)), same[:, 4, 5]], axis=1)


LINEAR = Partial(
    linear, jnp.asarray(np.random.default_rng(3).normal(0, 0.05, (PIXELS * 3, 4)), jnp.float32)
)
IN_CLEAN = Partial(share_and_pixel, jnp.asarray(IMAGE))


@functools.partial(jax.jit, static_argnames="step")
def curves(score_fn, saliency, target=0, step=16):
    return metrics.insertion_deletion(
        score_fn, jnp.asarray(IMAGE), target, saliency, step=step, details=True
    )


def random_map(seed):
    return jnp.asarray(np.random.default_rng(seed).normal(size=SHAPE), jnp.float32)


def literally(saliency, target, step, color):
    """RISE's evaluation: replace `step` more pixels, ask, and so on; then the area."""
    order = sorted(np.ndindex(SHAPE), key=lambda p: -float(saliency[p]))
    blurred = np.asarray(BLURRED)
    gray = np.broadcast_to(color, IMAGE.shape)
    found = []
    for start, finish in [(blurred, IMAGE), (IMAGE, gray)]:
        shown, points = start.copy(), []
        for i in range(-(-PIXELS // step) + 1):
            points.append(float(LINEAR(jnp.asarray(shown[None]))[0, target]))
            for pixel in order[step * i : step * (i + 1)]:
                shown[pixel] = finish[pixel]
        found.append(points)
    areas = [(sum(c) - c[0] / 2 - c[-1] / 2) / (len(c) - 1) for c in found]
    return areas, found


@pytest.mark.parametrize("step", [16, 25])
def test_both_equal_the_papers_steps(step):
    saliency = jnp.round(4 * random_map(1))  # with equal values
    areas, points = literally(saliency, 2, step, MEAN)
    found = curves(LINEAR, saliency, 2, step=step)
    np.testing.assert_allclose(found.insertion_curve, points[0], rtol=1e-4)
    np.testing.assert_allclose(found.deletion_curve, points[1], rtol=1e-4)
    np.testing.assert_allclose([found.insertion, found.deletion], areas, rtol=1e-4)


def test_closed_forms():
    for seed in (0, 1):
        found = curves(IN_CLEAN, random_map(seed), 0)
        np.testing.assert_allclose([found.insertion, found.deletion], 0.5, rtol=1e-6)
    same = Partial(linear, jnp.zeros((PIXELS * 3, 4)))  # 1/4 for each of four classes
    found = curves(same, random_map(0), 2)
    np.testing.assert_allclose([found.insertion, found.deletion], 0.25, rtol=1e-6)


def test_the_ends_are_the_image_and_its_baselines():
    found = curves(LINEAR, random_map(0), 1)
    image, gray = jnp.asarray(IMAGE), jnp.broadcast_to(MEAN, IMAGE.shape)
    ends = jnp.stack([BLURRED, image, image, gray])
    inserted, deleted = found.insertion_curve, found.deletion_curve
    np.testing.assert_allclose(
        [inserted[0], inserted[-1], deleted[0], deleted[-1]], LINEAR(ends)[:, 1], rtol=1e-5
    )


def test_a_better_map_inserts_more_and_deletes_sooner():
    for rank in (0, 40, 191):
        saliency = -jnp.arange(PIXELS, dtype=jnp.float32)
        saliency = jnp.roll(saliency, 4 * 16 + 5 - rank).reshape(SHAPE)
        found = curves(IN_CLEAN, saliency, 1)
        shown = rank // 16 + 1  # points of 13 at which it is still hidden
        np.testing.assert_allclose(found.insertion, 1 - (shown - 0.5) / 12, rtol=1e-5)
        np.testing.assert_allclose(found.deletion, (shown - 0.5) / 12, rtol=1e-5)


def test_areas_alone_and_other_baselines():
    @jax.jit
    def areas(saliency):
        return metrics.insertion_deletion(
            IN_CLEAN, jnp.asarray(IMAGE), 0, saliency, step=100,
            insertion_baseline=0.0, deletion_baseline=baselines.imagenet_mean,
        )  # fmt: skip

    found = areas(random_map(0))
    assert found._fields == ("insertion", "deletion")
    expected = (0 / 2 + 100 / 192 + 1 / 2) / 2
    np.testing.assert_allclose(found, [expected, 1 - expected], rtol=1e-6)
    assert jnp.isnan(jnp.asarray(areas(random_map(0).at[1, 1].set(jnp.nan)))).all()


def test_score_drop_equals_its_definition():
    saliency = random_map(5)
    drop = jax.jit(lambda s: metrics.score_drop(LINEAR, jnp.asarray(IMAGE), 1, s))
    scaled = (saliency - saliency.min()) / (saliency.max() - saliency.min())
    darkened = IMAGE * (1 - np.asarray(scaled))[..., None]
    before, after = LINEAR(jnp.asarray(np.stack([IMAGE, darkened])))[:, 1]
    np.testing.assert_allclose(drop(saliency), before - after, rtol=1e-4)
    assert abs(before - after) > 0.01
    assert abs(drop(jnp.ones(SHAPE))) < 1e-6
    assert jnp.isnan(drop(saliency.at[0, 0].set(jnp.nan)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": 0}, "`step` must be greater than 0; got 0"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"saliency": jnp.zeros((16, 12))}, r"spatial shape, \(12, 16\); got \(16, 12\)"),
        ({"target": jnp.asarray([0])}, "one class index"),
        (
            {"image": jnp.zeros((12, 16, 1)), "deletion_baseline": baselines.imagenet_mean},
            "has three channels and this image 1",
        ),
    ],
)
@pytest.mark.usefixtures("as_users_run")
def test_wrong_input(change, message):
    given = {"image": jnp.asarray(IMAGE), "target": 0, "saliency": jnp.zeros(SHAPE), **change}
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: metrics.insertion_deletion(LINEAR, **given))
