import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax import metrics

gini = jax.jit(metrics.sparseness)
entropy = jax.jit(metrics.complexity)
effective = jax.jit(metrics.effective_complexity, static_argnames="threshold")
SHAPE = (4, 6)


def draw(seed):
    saliency = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)
    saliency[0, :3] = 0
    return saliency


@pytest.mark.parametrize("seed", [0, 1])
def test_all_equal_their_definitions(seed):
    saliency = draw(seed)
    size = np.sort(np.abs(saliency.astype(np.float64)).ravel())
    pairs = sum(abs(a - b) for a in size for b in size)
    np.testing.assert_allclose(gini(saliency), pairs / (2 * 24 * size.sum()), rtol=1e-5)
    q = size[size > 0] / size.sum()
    np.testing.assert_allclose(entropy(saliency), -(q * np.log(q)).sum(), rtol=1e-5)
    relative = metrics.complexity(jnp.asarray(saliency), relative=True)
    np.testing.assert_allclose(relative, -(q * np.log(q)).sum() / np.log(24), rtol=1e-5)
    for threshold in (1e-5, 0.5):
        number = sum(v / size.max() > threshold for v in size)
        assert int(effective(saliency, threshold=threshold)) == number


def test_closed_forms():
    one_hot = jnp.zeros(4).at[3].set(7.0)
    uniform, steps = jnp.full(4, -0.3), jnp.asarray([1.0, 2, 3, 4])
    found = [gini(x) for x in (one_hot, uniform, steps)]
    np.testing.assert_allclose(found, [0.75, 0, 0.25], atol=1e-6)
    found = [entropy(x) for x in (one_hot, uniform)]
    np.testing.assert_allclose(found, [0, np.log(4)], atol=1e-6)
    assert [effective(x) for x in (one_hot, uniform, steps)] == [1, 4, 4]


def test_neither_scale_nor_order_counts_and_a_huge_one_does_not_overflow():
    saliency = draw(2)
    other = np.random.default_rng(3).permutation(saliency.ravel()).reshape(SHAPE)
    for metric in (gini, entropy, effective):
        for changed in (other, -7 * saliency, saliency * np.float32(1e37), saliency / 1e30):
            np.testing.assert_allclose(metric(changed.astype(np.float32)), metric(saliency), 1e-4)


def test_a_map_of_zeros_or_with_a_nan():
    zeros, broken = np.zeros(SHAPE, np.float32), draw(0)
    broken[1, 1] = np.inf
    assert np.isnan([gini(zeros), entropy(zeros), gini(broken), entropy(broken)]).all()
    assert int(effective(zeros)) == 0 and np.isnan(effective(broken))
    with pytest.raises(ValueError, match="`threshold` must be at least 0; got -1"):
        metrics.effective_complexity(jnp.ones(3), threshold=-1)
