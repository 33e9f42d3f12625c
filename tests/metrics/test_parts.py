import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax import metrics

SHAPE = (12, 16)
at = jax.jit(metrics.parts_saliency, static_argnames="window")
ratio = jax.jit(metrics.parts_ratio)


@pytest.mark.parametrize("window", [5, 1])
def test_the_mean_of_a_window_clipped_at_the_border(window):
    saliency = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    keypoints = np.float32([[7, 5], [7.9, 5.2], [0, 0], [15, 11], [1.5, 10], [15.7, 3]])
    half, expected = window // 2, []
    for x, y in keypoints.astype(int):
        inside = [
            saliency[r, c]
            for r in range(y - half, y + half + 1)
            for c in range(x - half, x + half + 1)
            if 0 <= r < 12 and 0 <= c < 16
        ]
        expected.append(np.mean(inside))
    found = at(jnp.asarray(saliency), jnp.asarray(keypoints), window=window)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_what_is_not_seen_has_no_saliency():
    keypoints = jnp.asarray([[math.nan] * 2, [-9.0, 3.0], [2, 2], [3, 3], [4, 4], [5, 5]])
    assert jnp.isnan(at(jnp.ones(SHAPE), keypoints)).tolist() == [True, True] + [False] * 4


def test_ratio_of_the_classes_means_with_its_standard_error():
    feet = np.array([[0.2, 0.4, np.nan], [0.9, 0.3, 0.6], [0.5, np.nan, np.nan]], np.float32)
    eyes = np.array([[0.1, 0.2], [0.3, np.nan], [0.05, 0.15]], np.float32)
    ratios = np.array([0.3 / 0.15, 0.6 / 0.3, 0.5 / 0.1])
    found = ratio(jnp.asarray(feet), jnp.asarray(eyes))
    np.testing.assert_allclose(found.mean, ratios.mean(), rtol=1e-5)
    np.testing.assert_allclose(found.standard_error, ratios.std() / math.sqrt(3), rtol=1e-5)
    keypoints = jax.jit(metrics.mean_and_error)(jnp.asarray(feet))
    np.testing.assert_allclose(
        keypoints, [np.nanmean(feet), np.nanstd(feet) / math.sqrt(6)], rtol=1e-5
    )


def test_a_constant_mask_has_ratio_one_and_no_eyes_left_an_infinite_one():
    feet, eyes = np.full((3, 3), 0.25, np.float32), np.full((3, 2), 0.25, np.float32)
    assert [float(x) for x in ratio(feet, eyes)] == [1.0, 0.0]
    assert ratio(feet, 0 * eyes) == (math.inf, math.inf)


@pytest.mark.usefixtures("as_users_run")
def test_wrong_input():
    saliency, keypoints = jnp.ones(SHAPE), jnp.zeros((1, 2))
    for call, message in [
        (lambda: metrics.parts_saliency(saliency, keypoints, window=4), "`window` must be odd"),
        (lambda: metrics.parts_saliency(saliency, keypoints, window=-1), "window"),
        (lambda: metrics.parts_saliency(saliency, keypoints[0]), r"must be \(K, 2\), rows of x, y"),
        (lambda: metrics.parts_saliency(saliency[0], keypoints), "`saliency` must be one map"),
        (lambda: metrics.parts_ratio(saliency, keypoints), "one row a class; got 12 and 1 rows"),
    ]:
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(call)
