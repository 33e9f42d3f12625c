"""Smooth masks against their formula, tap by tap."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax.ops.smooth_masks import grid_shape, inside, smooth_mask


def mask_tap_by_tap(parameters, step, sigma):
    """METHODS section 8: every pixel, every node it sees; a node outside the grid is 0."""
    reach = math.ceil(sigma / step)
    pixels = [range(-step * reach, step * (n - 1 + reach) + 1) for n in parameters.shape]
    mask = np.zeros([len(axis) for axis in pixels])
    around = range(-reach - 1, reach + 2)
    for x in itertools.product(*pixels):
        top = bottom = 0.0
        for shift in itertools.product(around, repeat=len(x)):
            node = tuple(p // step + s for p, s in zip(x, shift, strict=True))
            there = all(0 <= i < n for i, n in zip(node, parameters.shape, strict=True))
            d = math.dist(x, [step * i for i in node]) / sigma
            v = math.exp(-2 * max(0, d - 0.5) ** 2) * (parameters[node] if there else 0)
            top += v * math.exp(20 * v)
            bottom += math.exp(20 * v)
        mask[tuple(p + step * reach for p in x)] = top / bottom
    return mask


@pytest.mark.parametrize(
    ("shape", "step", "sigma"), [((5,), 3, 4.0), ((4, 3), 2, 4.0), ((3, 2, 2), 2, 1.5)]
)
def test_equals_the_formula_at_any_rank(shape, step, sigma):
    parameters, direction = np.random.default_rng(0).uniform(size=(2, *shape))
    expected = mask_tap_by_tap(parameters, step, sigma)
    weights = np.random.default_rng(1).normal(size=expected.shape)

    @jax.jit
    def mask_and_slope(parameters):
        mask, back = jax.vjp(lambda p: smooth_mask(p, step, sigma), parameters)
        return mask, back(jnp.asarray(weights, jnp.float32))[0]

    mask, slope = mask_and_slope(jnp.asarray(parameters, jnp.float32))
    np.testing.assert_allclose(mask, expected, atol=2e-6)
    ahead, behind = (
        (weights * mask_tap_by_tap(parameters + e * direction, step, sigma)).sum()
        for e in (1e-6, -1e-6)
    )
    assert (np.asarray(slope) * direction).sum() == pytest.approx((ahead - behind) / 2e-6, 1e-3)


@pytest.mark.parametrize(
    ("spatial", "step", "sigma"), [((7, 10), 3, 0.5), ((12, 5), 3, 3.0), ((9, 7), 4, 6.5)]
)
def test_the_image_lies_inside_with_its_nodes_at_multiples_of_the_step(spatial, step, sigma):
    one = np.zeros(grid_shape(spatial, step), np.float32)
    one[1, 1] = 1
    mask = jax.jit(lambda p: inside(smooth_mask(p, step, sigma), spatial, step, sigma))(one)
    assert mask.shape == spatial
    assert float(mask[step, step]) == pytest.approx(float(mask.max()))


def test_of_the_papers_settings():
    """Numbers of METHODS section 8: 32 x 32 nodes, 260 x 260 pixels, the image at 21 to 245."""
    grid = grid_shape((224, 224), 7)
    assert grid == (32, 32)
    dot = jnp.zeros(grid).at[10, 12].set(1)
    masks = jax.jit(jax.vmap(lambda p: smooth_mask(p, 7, 21.0)))
    nothing, full, one = masks(jnp.stack([jnp.zeros(grid), jnp.ones(grid), dot]))
    assert full.shape == (260, 260) and float(jnp.abs(nothing).max()) == 0
    image = inside(full, (224, 224), 7, 21.0)
    np.testing.assert_array_equal(image, full[21:245, 21:245])
    assert float(image.min()) == pytest.approx(0.9759, abs=5e-5)
    assert float(image.max()) == pytest.approx(0.9957, abs=5e-5)
    assert float(one.max()) == pytest.approx(1.0, abs=1e-6)
    assert float(one[21 + 70, 21 + 84]) == pytest.approx(1.0, abs=1e-6)


def test_a_gradient_never_holds_every_tap_of_every_pixel():
    """81 taps of 260 x 260 pixels would be 21 MiB a mask."""
    slope = jax.jit(jax.grad(lambda p: jnp.square(smooth_mask(p, 7, 21.0)).sum()))
    analysis = slope.lower(jnp.ones((32, 32))).compile().memory_analysis()
    assert analysis.temp_size_in_bytes < 4 * 2**20
