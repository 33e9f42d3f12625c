import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax
from saljax.ops.soft_topk import soft_topk


def sinkhorn(scores, k, epsilon, iterations=200):
    """SOFT's transport, row and column by turns."""
    scores = np.asarray(scores, np.float64).ravel()
    n = len(scores)
    cost = (scores[:, None] - np.array([1.0, 0.0])) ** 2
    kernel = np.exp(-cost / cost.max() / epsilon)
    rows, columns = np.full(n, 1 / n), np.array([k / n, (n - k) / n])
    right = np.ones(2)
    for _ in range(iterations):
        left = rows / (kernel @ right)
        right = columns / (kernel.T @ left)
    left = rows / (kernel @ right)
    return n * (left[:, None] * kernel * right)[:, 0]


def some_scores(n=30, seed=0, low=0.0, high=1.0):
    return jnp.asarray(np.random.default_rng(seed).uniform(low, high, n), jnp.float32)


@pytest.mark.parametrize("k", [1, 7, 29, 4.5])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 5)])
def test_it_is_the_entropic_transport(k, low, high):
    scores = some_scores(low=low, high=high)
    found = saljax.soft_topk(scores, k)
    np.testing.assert_allclose(found, sinkhorn(scores, k, 0.1), atol=2e-6)
    assert float(found.sum()) == pytest.approx(k, rel=1e-5)


def test_it_chooses_the_largest_and_keeps_the_shape():
    scores = some_scores(24).reshape(4, 6)
    hard = soft_topk(scores, 5, epsilon=1e-4)
    assert hard.shape == (4, 6)
    largest = np.asarray(scores) >= np.sort(np.asarray(scores).ravel())[-5]
    np.testing.assert_allclose(hard, largest, atol=1e-3)
    soft = np.asarray(soft_topk(scores, 5)).ravel()
    assert (np.diff(soft[np.argsort(np.asarray(scores).ravel())]) > 0).all()
    assert (soft > 0).all() and (soft < 1).all()


def test_its_derivative_is_that_of_the_transport_with_the_greatest_cost_held():
    with jax.enable_x64():
        scores = jnp.asarray(np.random.default_rng(1).uniform(0.1, 0.9, 8))
        chosen = np.asarray(soft_topk(scores, 3, 0.2))
        cost = float(np.maximum(scores**2, (scores - 1) ** 2).max())
        q = chosen * (1 - chosen)
        expected = 2 / (cost * 0.2) * (np.diag(q) - np.outer(q, q) / q.sum())
        for differentiate in (jax.jacfwd, jax.jacrev):
            found = differentiate(lambda s: soft_topk(s, 3, 0.2))(scores)
            np.testing.assert_allclose(found, expected, atol=1e-12)
            np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-12)

        middle = int(np.argsort(np.abs(scores - 0.5))[0])  # does not decide max C
        step = jnp.zeros(8).at[middle].set(1e-6)
        change = (soft_topk(scores + step, 3, 0.2) - soft_topk(scores - step, 3, 0.2)) / 2e-6
        np.testing.assert_allclose(change, expected[:, middle], atol=1e-8)


def test_its_derivative_by_k_adds_up_to_one():
    scores = some_scores()
    slope = jax.jacfwd(lambda k: soft_topk(scores, k))(jnp.float32(7))
    assert float(slope.sum()) == pytest.approx(1, rel=1e-5) and float(slope.min()) > 0


def test_a_shift_that_leaves_the_greatest_cost_changes_nothing():
    scores = jnp.array([-0.3, 0.2, 0.35, 0.5, 1.0])
    moved = scores + 0.3  # ends a and b moved by 1 - a - b: max C is (1 - a)^2, then (b + 0.3)^2
    np.testing.assert_allclose(soft_topk(scores, 2), soft_topk(moved, 2), atol=1e-6)


def test_equal_scores_share_alike_and_a_hard_choice_has_a_finite_derivative():
    np.testing.assert_allclose(soft_topk(jnp.full((10,), 0.4), 3), 0.3, atol=1e-6)
    slope = jax.jacrev(lambda s: soft_topk(s, 2, 1e-6))(jnp.array([0.1, 0.9, 0.5, 0.7]))
    assert np.isfinite(slope).all()


def test_a_batch_chooses_within_each_image():
    maps = some_scores(36).reshape(2, 3, 6)
    found = jax.jit(jax.vmap(lambda m: soft_topk(m, 4)))(maps)
    np.testing.assert_allclose(found[1], soft_topk(maps[1], 4), atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), 4, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"k": 0}, "between 0 and"), ({"k": 30}, "number of scores, 30"),
     ({"k": 3, "epsilon": 0.0}, "`epsilon` must be greater")],
)  # fmt: skip
def test_wrong_input(settings, message):
    with pytest.raises(ValueError, match=message):
        soft_topk(some_scores(), **settings)
