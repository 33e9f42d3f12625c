"""Maps against masks."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax import metrics

SHAPE = (5, 6)
mass = jax.jit(metrics.relevance_mass, static_argnames="values")
rank = jax.jit(metrics.relevance_rank)
top = jax.jit(metrics.top_k_intersection, static_argnames="k")
area = jax.jit(metrics.localization_auc)


def draw(seed, levels=6):
    rng = np.random.default_rng(seed)
    saliency = rng.integers(-levels, levels, SHAPE).astype(np.float32)
    return saliency, rng.random(SHAPE) < 0.3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_all_equal_their_definitions(seed):
    saliency, mask = draw(seed)
    inside = [v for v, m in zip(saliency.ravel(), mask.ravel(), strict=True) if m]
    outside = [v for v, m in zip(saliency.ravel(), mask.ravel(), strict=True) if not m]
    for values, of in [("positive", lambda v: max(v, 0)), ("absolute", abs), ("signed", float)]:
        expected = sum(map(of, inside)) / sum(map(of, saliency.ravel()))
        np.testing.assert_allclose(mass(saliency, mask, values=values), expected, rtol=1e-5)
    wins = [(a > b) + (a == b) / 2 for a, b in itertools.product(inside, outside)]
    np.testing.assert_allclose(area(saliency, mask), np.mean(wins), rtol=1e-5)
    for k in (3, mask.sum()):
        np.testing.assert_allclose(
            top(saliency, mask, k=int(k)), by_chance(saliency, mask, k), 0.04
        )
    assert rank(saliency, mask) == top(saliency, mask, k=int(mask.sum()))


def by_chance(saliency, mask, k):
    """Mean share over many random orders of what is equal."""
    rng, shares = np.random.default_rng(0), []
    for _ in range(3000):
        order = np.lexsort((rng.random(mask.size), -saliency.ravel()))
        shares.append(mask.ravel()[order[:k]].mean())
    return np.mean(shares)


def test_by_hand():
    saliency, mask = jnp.asarray([4.0, 3, 2, 1]), jnp.asarray([True, False, True, False])
    found = [mass(saliency, mask), rank(saliency, mask), area(saliency, mask)]
    np.testing.assert_allclose(found, [0.6, 0.5, 0.75], rtol=1e-6)
    assert top(saliency, mask, k=1) == 1 and top(saliency, mask, k=9) == 0.5


def test_what_knows_nothing_has_chance_wherever_the_object_is():
    _, mask = draw(4)
    for flat in (np.full(SHAPE, 3, np.float32), np.zeros(SHAPE, np.float32)):
        found = [mass(flat, mask), rank(flat, mask), top(flat, mask, k=4)]
        np.testing.assert_allclose(found, mask.mean(), rtol=1e-6)
        assert area(flat, mask) == 0.5
    np.testing.assert_allclose(mass(np.full(SHAPE, -1, np.float32), mask), mask.mean(), rtol=1e-6)


def test_ranks_alone_count_and_a_perfect_ranking_has_all():
    saliency, mask = draw(5, levels=99)
    for metric in (rank, area):
        assert metric(np.arctan(saliency / 9), mask) == metric(saliency, mask)
        assert metric(saliency + 1000 * mask.astype(np.float32), mask) == 1


def test_boxes_are_masks_of_pictures():
    saliency, boxes = draw(6)[0], jnp.asarray([[1.0, 1, 3, 2], [np.nan] * 4])
    mask = metrics.inside_boxes(boxes, SHAPE)
    for metric in (mass, rank, area, functools.partial(top, k=3)):
        assert metric(saliency, boxes) == metric(saliency, mask)


def test_nothing_to_find_and_nan():
    saliency, mask = draw(7)
    broken = saliency.copy()
    broken[0, 0] = np.inf
    for metric in (mass, rank, area, functools.partial(top, k=3)):
        assert np.isnan(metric(saliency, np.zeros(SHAPE, bool)))
        assert np.isnan(metric(broken, mask))
    assert np.isnan(area(saliency, np.ones(SHAPE, bool)))


@pytest.mark.usefixtures("as_users_run")
def test_wrong_input():
    saliency = jnp.ones(SHAPE)
    with pytest.raises(ValueError, match=r"map's shape \(5, 6\), or boxes .* got bool \(6, 5\)"):
        metrics.relevance_rank(saliency, np.ones((6, 5), bool))
    with pytest.raises(ValueError, match=r"of booleans.* got float32 \(5, 6\)"):
        metrics.relevance_mass(saliency, np.ones(SHAPE, np.float32))
    with pytest.raises(ValueError, match="`values` must be one of positive, absolute, signed"):
        metrics.relevance_mass(saliency, np.ones(SHAPE, bool), values="raw")
    with pytest.raises(ValueError, match="`k` must be greater than 0"):
        metrics.top_k_intersection(saliency, np.ones(SHAPE, bool), k=0)
