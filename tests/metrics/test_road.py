import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from saljax import metrics
from saljax.metrics.faithfulness import imputation

SHAPE = (7, 9)
RNG = np.random.default_rng(0)
IMAGE = jnp.asarray(RNG.uniform(size=(*SHAPE, 3)), jnp.float32)
MAP = jnp.asarray(RNG.normal(size=SHAPE), jnp.float32)


def softmax(weights, images):
    flat = images.reshape(len(images), -1)
    return jax.nn.softmax(jnp.matmul(flat, weights, precision="highest"))


SOFTMAX = Partial(softmax, jnp.asarray(RNG.normal(0, 0.3, (189, 4)), jnp.float32))


@functools.partial(jax.jit, static_argnames="noise")
def fill(image, missing, noise=0.0):
    return imputation.impute(image, missing, jax.random.key(0), noise=noise, tolerance=1e-7)


def by_elimination(image, missing):
    """The equations of the paper, a row a missing pixel."""
    image, places = np.asarray(image, float).copy(), np.argwhere(missing).tolist()
    number = {tuple(p): i for i, p in enumerate(places)}
    matrix, right = np.zeros((len(places),) * 2), np.zeros((len(places), image.shape[-1]))
    for (y, x), i in number.items():
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                at = y + dy, x + dx
                inside = 0 <= at[0] < image.shape[0] and 0 <= at[1] < image.shape[1]
                if not inside or dy == dx == 0:
                    continue
                w = 1 / 12 if dy and dx else 1 / 6
                matrix[i, i] += w
                if at in number:
                    matrix[i, number[at]] -= w
                else:
                    right[i] += w * image[at]
    np.testing.assert_array_equal(matrix, matrix.T)
    for place, value in zip(places, np.linalg.solve(matrix, right), strict=True):
        image[tuple(place)] = value
    return image


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_imputation_solves_the_equations(share):
    missing = np.random.default_rng(1).random(SHAPE) < share
    np.testing.assert_allclose(
        fill(IMAGE, missing), by_elimination(IMAGE, missing), rtol=1e-4, atol=1e-5
    )


def test_imputation_by_hand():
    nine = jnp.arange(9.0).reshape(3, 3, 1)
    corner = np.zeros((3, 3), bool)
    corner[0, 0] = True
    np.testing.assert_allclose(fill(nine, corner)[0, 0, 0], 2.4, rtol=1e-5)
    rows, columns = np.indices(SHAPE)
    affine = jnp.asarray(0.1 * rows - 0.05 * columns + 0.4, jnp.float32)[..., None]
    hole = np.zeros(SHAPE, bool)
    hole[2:5, 3:7] = True
    np.testing.assert_allclose(fill(affine, hole), affine, atol=1e-5)
    assert (fill(IMAGE, np.zeros(SHAPE, bool), noise=0.5) == IMAGE).all()
    weights = imputation.neighbors(jnp.ones((1, 4, 5, 6)))[0, 1:-1, 1:-1, 1:-1]
    np.testing.assert_allclose(weights, 1, rtol=1e-6)


def test_noise_is_added_to_what_is_filled_in_alone():
    missing = RNG.random((40, 40)) < 0.5
    image = jnp.full((40, 40, 3), 0.5)
    added = np.asarray(fill(image, missing, noise=0.01) - image)
    assert (added[~missing] == 0).all()
    assert 0.009 < added[missing].std() < 0.011 and abs(added[missing].mean()) < 0.001


def road(score_fn, saliency, key, **settings):
    one = functools.partial(metrics.road, score_fn, IMAGE, 1, **settings)
    return jax.jit(lambda s: one(s, key=key))(saliency)


def test_road_equals_its_definition(key):
    shares, order = (0.2, 0.55), np.argsort(-np.asarray(MAP).ravel())
    found = road(SOFTMAX, MAP, key, shares=shares, noise=0.0, tie_break=0.0)
    for ranked, scores, correct in [
        (order, found.morf, found.morf_correct),
        (order[::-1], found.lerf, found.lerf_correct),
    ]:
        for share, score, hit in zip(shares, scores, correct, strict=True):
            missing = np.zeros(63, bool)
            missing[ranked[: int(share * 63)]] = True
            image = by_elimination(IMAGE, missing.reshape(SHAPE)).astype(np.float32)
            every = SOFTMAX(jnp.asarray(image)[None])[0]
            np.testing.assert_allclose(score, every[1], rtol=1e-4)
            assert bool(hit) == (int(every.argmax()) == 1)
    np.testing.assert_allclose(found.combined, (found.lerf - found.morf).mean() / 2, rtol=1e-5)


def test_a_constant_map_ranks_at_random_and_a_map_of_the_evidence_is_seen(key):
    """The score is the darkness of one dark pixel; its neighbors do not tell of it."""

    def score_fn(images):
        dark = 1 - images[:, 3, 4, 0]
        return jnp.stack([1 - dark, dark], axis=1)

    image = jnp.ones((*SHAPE, 1)).at[3, 4].set(0.0)
    saliency = jnp.zeros(SHAPE).at[3, 4].set(1.0)
    shares, many = (0.1, 0.5, 0.8), jax.random.split(key, 40)
    one = functools.partial(metrics.road, score_fn, image, 1, shares=shares, noise=0.0)
    found = jax.jit(lambda s, key: one(s, key=key))(saliency, key)
    np.testing.assert_allclose(found.morf, 0, atol=1e-4)
    np.testing.assert_allclose(found.lerf, 1, atol=1e-4)
    assert found.combined > 0.49 and found.morf_correct.sum() == 0
    flat = jax.jit(jax.vmap(lambda key: one(jnp.ones(SHAPE), key=key)))(many)
    np.testing.assert_allclose(flat.morf.mean(0), [0.9, 0.5, 0.2], atol=0.2)
    assert len({tuple(row) for row in flat.morf.tolist()}) > 3


@pytest.mark.parametrize("shares", [(0.5, 1.0), (), (-0.1,)])
@pytest.mark.usefixtures("as_users_run")
def test_wrong_input(shares, key):
    with pytest.raises(ValueError, match="`shares` must be"):
        metrics.road(SOFTMAX, IMAGE, 1, MAP, key=key, shares=shares)
