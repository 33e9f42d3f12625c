import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax
from saljax.ops import gaussians


def gaussian_literally(shape, center, sigma):
    mask = np.zeros(shape)
    for index in itertools.product(*map(range, shape)):
        squared = sum((i - c) ** 2 for i, c in zip(index, center, strict=True))
        mask[index] = math.exp(-squared / (2 * sigma**2))
    return mask


@pytest.mark.parametrize("shape", [(11,), (7, 9), (4, 5, 6)])
def test_gaussian_mask_equals_its_formula_at_any_rank(shape):
    center = [n / 3 for n in shape]
    mask = saljax.gaussian_mask(shape, center, 2.0)
    assert mask.dtype == jnp.float32
    np.testing.assert_allclose(mask, gaussian_literally(shape, center, 2.0), atol=1e-6)


def test_peak_is_one_and_an_infinite_light_leaves_nothing_dark():
    assert saljax.gaussian_mask((9, 9), (4, 4), 2.0)[4, 4] == 1
    np.testing.assert_array_equal(
        saljax.gaussian_mask((9, 9), (4, 4), float("inf")), np.ones((9, 9))
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(((8, 8), (4, 4), 0.0), "sigma"), (((8, 8), (4, 4, 4), 1.0), "coordinate")],
)
def test_wrong_masks_say_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        saljax.gaussian_mask(*arguments)


def test_grid_centers_are_the_centers_of_the_cells():
    # Two cells of four pixels: pixels 0..3 are centered at 1.5, pixels 4..7 at 5.5.
    np.testing.assert_allclose(gaussians.grid_centers((8,), 2), [[1.5], [5.5]])
    centers = np.asarray(gaussians.grid_centers((10, 20), 3))
    assert centers.shape == (9, 2)
    np.testing.assert_allclose(centers.mean(0), [4.5, 9.5], rtol=1e-6)


def spread_literally(values, points, shape, kernel):
    total = np.zeros(shape)
    for index in itertools.product(*map(range, shape)):
        for value, point in zip(values, points, strict=True):
            total[index] += value * kernel(math.dist(index, point))
    return total


@pytest.mark.parametrize("shape", [(12,), (8, 11), (5, 6, 7)])
def test_separable_fusion_equals_the_dense_sum(shape):
    grid = 3
    values = np.random.default_rng(0).uniform(size=(grid,) * len(shape)).astype(np.float32)
    points = gaussians.grid_centers(shape, grid)
    expected = spread_literally(
        values.ravel(), points.tolist(), shape, lambda d: math.exp(-(d**2) / 4)
    )
    on_grid = gaussians.spread_grid(jnp.asarray(values), shape, 2.0)
    at_points = gaussians.spread_points(jnp.asarray(values.ravel()), points, shape, 2.0)
    np.testing.assert_allclose(on_grid, expected, atol=1e-6)
    np.testing.assert_allclose(at_points, expected, atol=1e-6)


def test_euclidean_spread_equals_the_dense_sum():
    values = np.random.default_rng(1).uniform(size=4).astype(np.float32)
    points = jnp.asarray([[0.0, 0.0], [3.5, 2.0], [6.0, 9.0], [1.0, 8.0]])
    expected = spread_literally(values, points.tolist(), (8, 11), lambda d: math.exp(-d / 3))
    spread = jax.jit(gaussians.spread_euclidean, static_argnums=2)
    np.testing.assert_allclose(
        spread(jnp.asarray(values), points, (8, 11), 3.0), expected, atol=1e-6
    )
