import functools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax import metrics

SHAPE = (12, 16)
curve = jax.jit(metrics.iou_curve)


@functools.partial(jax.jit, static_argnames="rule")
def _both(saliency, boxes, rule, alpha, size):
    settings = dict(rule=rule, alpha=alpha, size=size)
    return (
        metrics.localization_box(saliency, **settings),
        metrics.localization_error(saliency, boxes, **settings),
    )


def box(saliency, rule, alpha, size=None):
    return _both(saliency, boxes_of(), rule, alpha, sized(size))[0].tolist()


def error(saliency, boxes, rule, alpha, size=None):
    return bool(_both(saliency, boxes, rule, alpha, sized(size))[1])


def boxes_of(*rows):
    """Padded to three, so that all tests share a compiled program."""
    return jnp.asarray([*rows, *[[math.nan] * 4] * (3 - len(rows))], jnp.float32)


def sized(size):
    return jnp.asarray(SHAPE if size is None else size, jnp.int32)


def left(h, rule, alpha):
    """What S2's thresholds leave of a non-negative map, one pixel at a time."""
    h = np.array(h, np.float64)
    if rule == "energy":
        order = sorted(np.ndindex(h.shape), key=lambda p: -h[p])
        total, so_far, reached = h.sum(), 0.0, False
        for pixel in order:
            so_far += h[pixel]
            reached = reached or so_far >= alpha * total - 1e-9
            if reached:
                h[pixel] = 0
        return h
    limit = alpha * (h.max() - h.min()) if rule == "value" else alpha * h.mean()
    low = h.min() if rule == "value" else 0.0
    for pixel in np.ndindex(h.shape):
        if h[pixel] - low < limit - 1e-9:
            h[pixel] = 0
    return h


def bilinear(old, new):
    """Weights of old pixels (columns) in new ones (rows), exactly; the triangle of an image
    that shrinks is as wide as a new pixel."""
    reach = max(Fraction(1), Fraction(old, new))
    rows = []
    for i in range(new):
        center = (i + Fraction(1, 2)) * old / new - Fraction(1, 2)
        rows.append([max(0, 1 - abs(center - a) / reach) for a in range(old)])
    return np.array([[float(w / sum(row)) for w in row] for row in rows])


def box_literally(h, rule, alpha, size):
    h = left(np.maximum(h, 0), rule, alpha)
    if size:
        h = bilinear(h.shape[0], size[0]) @ h @ bilinear(h.shape[1], size[1]).T
    rows, columns = np.flatnonzero((h > 0).any(1)), np.flatnonzero((h > 0).any(0))
    if len(rows) == 0:
        return [0, 0, h.shape[1] - 1, h.shape[0] - 1]
    return [columns[0], rows[0], columns[-1], rows[-1]]


def random_map(seed):
    """Sparse, so that boxes are small, with equal values, and on a grid of exact numbers."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-3, 17, SHAPE) * (rng.random(SHAPE) < 0.15)
    return values.astype(np.float32) / 16


@pytest.mark.parametrize("rule", ["value", "energy", "mean"])
def test_the_box_equals_its_definition(rule):
    sizes = [None, (12, 16), (36, 80), (31, 47), (5, 7), (12, 9)]
    for seed, size in enumerate(sizes * 2):
        saliency, alpha = random_map(seed), [0.0, 0.25, 0.5, 0.75][seed % 4]
        found = box(jnp.asarray(saliency), rule, alpha, size)
        assert found == box_literally(saliency, rule, alpha, size)


def test_a_single_pixel_reaches_its_neighbors_in_an_image_of_another_size():
    for size in [(12, 16), (36, 80), (31, 47), (5, 7), (12, 9), (24, 8)]:
        for row, column in [(0, 0), (3, 7), (6, 8), (10, 2), (11, 15)]:
            saliency = np.zeros(SHAPE, np.float32)
            saliency[row, column] = 1
            found = box(jnp.asarray(saliency), "value", 0.5, size)
            assert found == box_literally(saliency, "value", 0.5, size)


def test_the_size_is_the_maps_own_or_two_numbers():
    saliency, sizes = random_map(3), (None, (36, 80))
    found = jax.jit(
        lambda s: [metrics.localization_box(s, alpha=0.75, size=size) for size in sizes]
    )(jnp.asarray(saliency))
    for size, one in zip(sizes, found, strict=True):
        assert one.tolist() == box_literally(saliency, "energy", 0.75, size)


def test_the_indicator_of_a_box_is_that_box():
    truth = [3.0, 2.0, 9.0, 6.0]
    saliency = jnp.zeros(SHAPE).at[2:7, 3:10].set(1.0)
    boxes = boxes_of([0, 0, 1, 1], truth)
    for alpha in (0.05, 0.5, 1.0):
        assert box(saliency, "value", alpha) == truth
        assert not error(saliency, boxes, rule="value", alpha=alpha)
    np.testing.assert_allclose(curve(saliency, boxes_of(truth)), 1.0)


def test_constant_and_empty_maps():
    """Energy keeps ceil(alpha n) - 1 of n equal pixels."""
    for alpha in (0.25, 0.9, 1.0):
        row = box(jnp.ones((1, 192)), "energy", alpha, (1, 192))
        assert row == [0, 0, math.ceil(alpha * 192) - 2, 0]
    positive = jnp.asarray(np.random.default_rng(0).uniform(0.1, 1, SHAPE), jnp.float32)
    for saliency, alpha, rules in [
        (positive, 0.0, ["mean"]),
        (jnp.zeros(SHAPE), 0.5, ["value", "energy", "mean"]),
        (-positive, 0.5, ["value", "energy", "mean"]),
    ]:
        for rule in rules:
            assert box(saliency, rule, alpha, (30, 50)) == [0, 0, 49, 29]
    whole = boxes_of([0, 0, 15, 11])
    assert not error(positive, whole, rule="mean", alpha=0.0)


def test_an_error_is_an_overlap_below_one_half():
    saliency = jnp.zeros(SHAPE).at[0:4, 0:4].set(1.0)
    for width, wrong in [(8, False), (9, True)]:  # 16 / 32 and 16 / 36
        boxes = boxes_of([0, 0, width - 1, 3])
        assert error(saliency, boxes, rule="value", alpha=0.5) == wrong
    assert error(saliency, boxes_of(), rule="value", alpha=0.5)
    broken = saliency.at[9, 9].set(jnp.nan)
    assert error(broken, boxes_of([0, 0, 15, 11]), rule="value", alpha=0.5)


def test_iou_curve_equals_its_definition():
    rng = np.random.default_rng(2)
    saliency, boxes = rng.normal(size=SHAPE).astype(np.float32), [[1, 1, 6, 9], [5, 3, 12, 7]]
    truth = np.zeros(SHAPE, bool)
    for x1, y1, x2, y2 in boxes:
        truth[y1 : y2 + 1, x1 : x2 + 1] = True
    expected = []
    for t in (0.1, 0.3, 0.5, 0.7, 0.9):
        above = (saliency - saliency.min()) / (saliency.max() - saliency.min()) >= t
        expected.append((above & truth).sum() / (above | truth).sum())
    np.testing.assert_allclose(curve(jnp.asarray(saliency), boxes_of(*boxes)), expected, rtol=1e-6)
    half = jnp.zeros(SHAPE).at[1:10, 1:7].set(0.5).at[0, 15].set(1.0)
    found = curve(half, boxes_of(boxes[0]))[1:4]  # at 0.3, at 0.5 itself, at 0.7
    np.testing.assert_allclose(found, [54 / 55, 54 / 55, 0])
    assert curve(jnp.ones(SHAPE), boxes_of(*boxes)).tolist() == [0] * 5
    assert curve(jnp.ones(SHAPE), boxes_of()).tolist() == [0] * 5


@pytest.mark.parametrize(("rule", "count", "last"), [("energy", 20, 0.95), ("mean", 21, 10.0)])
def test_alpha_is_the_first_with_the_fewest_errors(rule, count, last):
    rng = np.random.default_rng(5)
    saliency = rng.integers(0, 8, (6, *SHAPE)).astype(np.float32) / 8
    saliency[:, 3:8, 4:10] += rng.uniform(0.2, 0.9, (6, 1, 1)).astype(np.float32)
    boxes = np.tile(boxes_of([4, 3, 9, 7]), (6, 1, 1))
    sizes = np.array([[24, 32], [12, 16], [36, 16], [12, 16], [12, 48], [30, 40]])
    boxes[:, 0] *= (sizes / SHAPE)[:, [1, 0, 1, 0]]
    saliency, boxes, sizes = jnp.asarray(saliency), jnp.asarray(boxes), jnp.asarray(sizes)
    choice = metrics.choose_alpha(saliency, boxes, rule=rule, sizes=sizes)
    expected = [
        np.mean([error(s, b, rule, a, z) for s, b, z in zip(saliency, boxes, sizes, strict=True)])
        for a in choice.alphas.tolist()
    ]
    assert len(choice.alphas) == count and choice.alphas[-1] == last
    np.testing.assert_array_equal(choice.errors, expected)
    assert choice.alpha == choice.alphas[expected.index(min(expected))]
    assert min(expected) < max(expected)
    backwards = metrics.choose_alpha(
        saliency, boxes, rule=rule, sizes=sizes, alphas=tuple(choice.alphas[::-1].tolist())
    )
    assert backwards.errors.tolist() == expected[::-1]
    assert backwards.alpha == choice.alphas[count - 1 - backwards.errors.argmin()]


def test_without_sizes_the_maps_own_is_taken():
    saliency = jnp.zeros((6, *SHAPE)).at[:, 2:7, 3:10].set(0.5).at[:, 11, 15].set(0.02)
    boxes = jnp.tile(boxes_of([3, 2, 9, 6])[None], (6, 1, 1))
    assert metrics.choose_alpha(saliency, boxes, rule="mean").errors.tolist()[:3] == [1, 0, 0]


@pytest.mark.usefixtures("as_users_run")
def test_wrong_input():
    saliency, boxes = jnp.ones(SHAPE), jnp.asarray([[0.0, 0, 3, 3]])
    for call, message in [
        (lambda: metrics.localization_box(saliency, rule="median"), "`rule` must be one of value"),
        (lambda: metrics.localization_box(saliency, alpha=-0.1), "`alpha` must be at least 0"),
        (lambda: metrics.localization_error(saliency[0], boxes), "`saliency` must be one map"),
        (lambda: metrics.localization_error(saliency, boxes[0]), "`boxes` must be"),
        (lambda: metrics.iou_curve(saliency, boxes, thresholds=(-1.0,)), "thresholds"),
        (lambda: metrics.iou_curve(saliency, boxes, thresholds=0.5), r"several, such as \(0.5,\)"),
        (lambda: metrics.choose_alpha(saliency[None], boxes), r"`boxes` must be \(N, B, 4\)"),
        (lambda: metrics.choose_alpha(saliency, boxes[None]), "`saliency` must be maps"),
        (lambda: metrics.choose_alpha(saliency[None], boxes[None], rule="x"), "rule"),
    ]:
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(call)  # nothing is computed
