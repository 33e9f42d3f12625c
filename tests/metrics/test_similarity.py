import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from saljax import metrics
from saljax.core import ranking

SHAPE = (14, 17)
pearson, spearman = jax.jit(metrics.pearson), jax.jit(metrics.spearman)
ssim = jax.jit(metrics.ssim, static_argnames="data_range")


def draw(seed, levels=30):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, levels, SHAPE).astype(np.float32)
    return first, (first + rng.integers(0, levels, SHAPE)).astype(np.float32)


def test_correlations_are_those_of_scipy():
    for seed, levels in [(0, 30), (1, 3)]:
        first, second = draw(seed, levels)
        expected = scipy.stats.pearsonr(first.ravel(), second.ravel()).statistic
        np.testing.assert_allclose(pearson(first, second), expected, rtol=1e-5)
        expected = scipy.stats.spearmanr(first.ravel(), second.ravel()).statistic
        np.testing.assert_allclose(spearman(first, second), expected, rtol=1e-5)


def test_by_hand():
    first, second = jnp.asarray([1.0, 2, 3, 4]), jnp.asarray([2.0, 1, 4, 3])
    np.testing.assert_allclose(spearman(first, second), 0.6, rtol=1e-6)
    np.testing.assert_allclose(spearman(first, jnp.exp(second)), 0.6, rtol=1e-6)
    np.testing.assert_allclose(pearson(first, -3e-20 * first), -1, rtol=1e-6)
    low, high = jnp.full(SHAPE, 0.2), jnp.full(SHAPE, 0.8)
    np.testing.assert_allclose(ssim(low, high, data_range=1.0), 0.4707, atol=1e-4)


@pytest.mark.parametrize("data_range", [None, 40.0])
def test_ssim_equals_its_definition(data_range):
    """Every window of 11 x 11 pixels that lies inside, one after the other."""
    first, second = draw(2)
    away = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(away, away) / away.sum() ** 2
    extent = max(first.max(), second.max()) - min(first.min(), second.min())
    extent = data_range or extent
    c1, c2, found = (0.01 * extent) ** 2, (0.03 * extent) ** 2, []
    for y in range(SHAPE[0] - 10):
        for x in range(SHAPE[1] - 10):
            a, b = (array[y : y + 11, x : x + 11].astype(float) for array in (first, second))
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
            both = (window * (a - ma) * (b - mb)).sum()
            found.append(
                (2 * ma * mb + c1) * (2 * both + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
            )
    np.testing.assert_allclose(
        ssim(first, second, data_range=data_range), np.mean(found), rtol=1e-4
    )


def test_equal_constant_small_and_broken_maps():
    first, second = draw(3)
    flat, broken = np.ones_like(first), first.copy()
    broken[0, 0] = np.inf
    for metric in (pearson, spearman, ssim):
        np.testing.assert_allclose(metric(first, first), 1, rtol=1e-5)
        assert np.isnan(metric(broken, second)) and np.isnan(metric(second, broken))
    assert np.isnan([pearson(first, flat), spearman(flat, second)]).all()
    assert ssim(flat, flat) == 1
    assert ssim(first[:3, :3], first[:3, :3]) == 1


@pytest.mark.parametrize("metric", [metrics.pearson, metrics.spearman, metrics.ssim])
@pytest.mark.usefixtures("as_users_run")
def test_shapes_that_differ(metric):
    with pytest.raises(ValueError, match=r"same shape compare; got \(3,\) and \(4,\)"):
        metric(jnp.ones(3), jnp.ones(4))


def test_the_highest_are_those_of_the_ranks():
    """With ties, zeros of both signs, and any count."""
    values = jnp.asarray([0.5, -0.0, 3.0, 0.0, -2.0, 3.0, 0.5, -1e-30, -jnp.inf, 3.0])
    ranks = np.asarray(ranking.ranks(values))
    for count in range(values.size + 1):
        assert (np.asarray(ranking.highest(values, count)) == (ranks < count)).all()
