import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax import metrics

SHAPE = (12, 16)
precision = jax.jit(metrics.average_precision)
of_boxes = jax.jit(metrics.explainability)


def literally(saliency, truth):
    """Equation 11 of S3, one threshold a distinct value, in descending order."""
    area, recall = 0.0, 0.0
    for threshold in sorted(set(saliency.ravel().tolist()), reverse=True):
        above = saliency >= threshold
        found = (above & truth).sum()
        area += found / above.sum() * (found / truth.sum() - recall)
        recall = found / truth.sum()
    return area


@pytest.mark.parametrize("levels", [2, 9, 10**6])
def test_average_precision_equals_its_definition(levels):
    rng = np.random.default_rng(levels)
    saliency = rng.integers(-levels, levels, SHAPE).astype(np.float32)
    saliency[saliency == 0] = rng.choice([0.0, -0.0], (saliency == 0).sum())
    truth = rng.random(SHAPE) < 0.3
    found = precision(jnp.asarray(saliency), jnp.asarray(truth))
    np.testing.assert_allclose(found, literally(saliency, truth), rtol=1e-5)


def test_closed_forms():
    box = jnp.asarray([[2.0, 3, 7, 8], [math.nan] * 4])
    graded = np.random.default_rng(0).uniform(size=SHAPE).astype(np.float32)
    graded[3:9, 2:8] += 2
    assert of_boxes(jnp.asarray(graded), box) == 100
    for value in (0.0, -3.5):
        flat = np.full(SHAPE, value, np.float32)
        np.testing.assert_allclose(of_boxes(jnp.asarray(flat), box), 100 * 36 / 192, rtol=1e-6)
    assert math.isnan(of_boxes(jnp.asarray(graded), jnp.asarray(np.full_like(box, np.nan))))
    graded[0, 0] = np.nan
    assert math.isnan(of_boxes(jnp.asarray(graded), box))


def test_the_worst_ranking_of_30_in_100():
    order = np.arange(100, dtype=np.float32)
    found = 100 * precision(jnp.asarray(order), jnp.asarray(order < 30))
    np.testing.assert_allclose(found, 17.274, atol=1e-3)
    formula = 100 / 30 * sum(j / (100 - 30 + j) for j in range(1, 31))
    np.testing.assert_allclose(found, formula, rtol=1e-5)


def test_ranks_alone_count_and_not_the_order_of_storage():
    rng = np.random.default_rng(4)
    saliency, truth = rng.integers(0, 5, SHAPE).astype(np.float32), rng.random(SHAPE) < 0.4
    one = precision(jnp.asarray(saliency), jnp.asarray(truth))
    np.testing.assert_allclose(precision(jnp.exp(jnp.asarray(saliency)), jnp.asarray(truth)), one)
    flipped = jnp.asarray(saliency[::-1, ::-1]), jnp.asarray(truth[::-1, ::-1])
    np.testing.assert_allclose(precision(*flipped), one, rtol=1e-6)


@pytest.mark.usefixtures("as_users_run")
def test_wrong_input():
    for saliency, boxes, message in [
        (jnp.zeros(5), jnp.zeros((1, 4)), r"`saliency` must be one map \(H, W\); got shape \(5,\)"),
        (jnp.zeros(SHAPE), jnp.zeros((4, 1)), r"`boxes` must be \(B, 4\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            metrics.explainability(saliency, boxes)
