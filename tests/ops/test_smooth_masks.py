"""Smooth masks against their formula, tap by tap."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax.ops.smooth_masks import first_node, grid_shape, inside, smooth_mask


def mask_tap_by_tap(parameters, step, sigma, first):
    """METHODS section 8: every pixel, every node it sees; a node outside the grid is 0.

    All by pixel in the image: the mask at each, from the first of them on.
    """
    reach = [math.ceil(w / s) for w, s in zip(sigma, step, strict=True)]
    ends = [
        (math.ceil(o - s * r), math.floor(o + s * (n - 1 + r)))
        for o, s, n, r in zip(first, step, parameters.shape, reach, strict=True)
    ]
    mask = np.zeros([high - low + 1 for low, high in ends])
    for x in itertools.product(*(range(low, high + 1) for low, high in ends)):
        top = bottom = 0.0
        around = [range(-r - 4, n + r + 4) for n, r in zip(parameters.shape, reach, strict=True)]
        for node in itertools.product(*around):
            away = [p - o - s * i for p, o, s, i in zip(x, first, step, node, strict=True)]
            limits = [(r + 1.5) * s for r, s in zip(reach, step, strict=True)]
            if any(abs(d) >= limit for d, limit in zip(away, limits, strict=True)):
                continue
            there = all(0 <= i < n for i, n in zip(node, parameters.shape, strict=True))
            d = math.hypot(*(d / w for d, w in zip(away, sigma, strict=True)))
            v = math.exp(-2 * max(0, d - 0.5) ** 2) * (parameters[node] if there else 0)
            top += v * math.exp(20 * v)
            bottom += math.exp(20 * v)
        mask[tuple(p - low for p, (low, _) in zip(x, ends, strict=True))] = top / bottom
    return mask


@pytest.mark.parametrize(
    ("shape", "step", "sigma", "first"),
    [
        ((5,), (3,), (4.0,), (0.5,)),
        ((4, 3), (2, 3), (4.0, 2.5), (0.5, 0.0)),
        ((2, 2, 2), (2, 1, 2), (1.5, 1.0, 0.5), (0.0, 0.5, 0.5)),
    ],
)
def test_equals_the_formula_at_any_rank(shape, step, sigma, first):
    parameters, direction = np.random.default_rng(0).uniform(size=(2, *shape))
    expected = mask_tap_by_tap(parameters, step, sigma, first)
    weights = np.random.default_rng(1).normal(size=expected.shape)

    @jax.jit
    def mask_and_slope(parameters):
        mask, back = jax.vjp(lambda p: smooth_mask(p, step, sigma, first), parameters)
        return mask, back(jnp.asarray(weights, jnp.float32))[0]

    mask, slope = mask_and_slope(jnp.asarray(parameters, jnp.float32))
    np.testing.assert_allclose(mask, expected, atol=2e-6)
    ahead, behind = (
        (weights * mask_tap_by_tap(parameters + e * direction, step, sigma, first)).sum()
        for e in (1e-6, -1e-6)
    )
    assert (np.asarray(slope) * direction).sum() == pytest.approx((ahead - behind) / 2e-6, 1e-3)


@pytest.mark.parametrize(
    ("spatial", "step", "sigma"),
    [
        ((7, 10), (3, 3), (0.5, 0.5)),
        ((12, 5), (3, 2), (3.0, 4.0)),
        ((9, 7), (4, 4), (6.5, 6.5)),
        ((8, 8), (1, 4), (3.0, 5.0)),
    ],
)
def test_a_grid_that_is_the_same_from_both_ends_makes_mirrored_masks_of_mirrored_nodes(
    spatial, step, sigma
):
    first = first_node(spatial, step)
    nodes = np.random.default_rng(0).uniform(size=grid_shape(spatial, step)).astype(np.float32)

    @jax.jit
    def mask_of(nodes):
        return smooth_mask(nodes, step, sigma, first)

    mask = mask_of(nodes)
    np.testing.assert_allclose(mask_of(nodes[::-1]), mask[::-1], atol=1e-6)
    np.testing.assert_allclose(mask_of(nodes[:, ::-1]), mask[:, ::-1], atol=1e-6)
    margin = (np.asarray(mask.shape) - spatial) // 2
    middle = mask[margin[0] : margin[0] + spatial[0], margin[1] : margin[1] + spatial[1]]
    np.testing.assert_array_equal(inside(mask, spatial, step, sigma, first), middle)


def test_of_the_papers_settings():
    """Numbers of METHODS section 8: 32 x 32 nodes, 260 x 260 pixels, the image at 21 to 245."""
    spatial, step, sigma, corner = (224, 224), (7, 7), (21.0, 21.0), (0.0, 0.0)
    grid = grid_shape(spatial, step)
    assert grid == (32, 32) and first_node(spatial, step) == (3.0, 3.0)
    dot = jnp.zeros(grid).at[10, 12].set(1)
    masks = jax.jit(jax.vmap(lambda p: smooth_mask(p, step, sigma, corner)))
    nothing, full, one = masks(jnp.stack([jnp.zeros(grid), jnp.ones(grid), dot]))
    assert full.shape == (260, 260) and float(jnp.abs(nothing).max()) == 0
    image = inside(full, spatial, step, sigma, corner)
    np.testing.assert_array_equal(image, full[21:245, 21:245])
    assert float(image.min()) == pytest.approx(0.9759, abs=5e-5)
    assert float(image.max()) == pytest.approx(0.9957, abs=5e-5)
    assert float(one.max()) == pytest.approx(1.0, abs=1e-6)
    assert float(one[21 + 70, 21 + 84]) == pytest.approx(1.0, abs=1e-6)


def test_a_gradient_never_holds_every_tap_of_every_pixel():
    """81 taps of 260 x 260 pixels would be 21 MiB a mask."""
    slope = jax.jit(
        jax.grad(lambda p: jnp.square(smooth_mask(p, (7, 7), (21.0, 21.0), (3.0, 3.0))).sum())
    )
    analysis = slope.lower(jnp.ones((32, 32))).compile().memory_analysis()
    assert analysis.temp_size_in_bytes < 4 * 2**20
