import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax import metrics
from saljax.metrics.localization.pointing_game import localization_point

SHAPE = (20, 40)


@functools.partial(jax.jit, static_argnames="tolerance")
def both(saliency, objects, tolerance=15.0):
    return (
        metrics.pointing_game(saliency, objects, tolerance=tolerance),
        metrics.pointing_game_fong(saliency, objects, tolerance=tolerance),
    )


@jax.jit
def glas(saliency, boxes):
    stricter = metrics.pointing_game_glas(saliency, boxes, threshold=0.97)
    return metrics.pointing_game_glas(saliency, boxes), stricter, localization_point(saliency)


def hits(saliency, objects, **settings):
    return [bool(hit) for hit in both(saliency, objects, **settings)]


def bumps(*peaks):
    saliency = np.zeros(SHAPE, np.float32)
    for rows, columns, height in peaks:
        saliency[rows, columns] = height
    return jnp.asarray(saliency)


def boxes_of(*rows):
    """Padded to two, so that all tests share a compiled program."""
    return jnp.asarray([*rows, *[[math.nan] * 4] * (2 - len(rows))], jnp.float32)


BOX = boxes_of([10, 5, 14, 8])
MASK = jnp.zeros(SHAPE, bool).at[5:9, 10:15].set(True)


def literally(saliency, mask, tolerance, several):
    """Is an object's pixel near the maximum, or near the mean of all maxima?"""
    pixels = list(np.ndindex(saliency.shape))
    maxima = [p for p in pixels if saliency[p] == saliency.max()]
    point = np.mean(maxima, axis=0) if several else maxima[0]
    away = [math.dist(point, p) for p in pixels if mask[p]]
    return any(d <= tolerance if several else d < tolerance for d in away)


@pytest.mark.parametrize("objects", [BOX, MASK], ids=["box", "mask"])
def test_tolerance_is_strict_in_the_first_game_and_closed_in_fongs(objects):
    for row, column, near, touches in [
        (6, 12, True, True),
        (6, 28, True, True),  # 14 away
        (6, 29, False, True),  # 15
        (17, 26, False, True),  # 15, down 9 and right 12
        (6, 30, False, False),
    ]:
        assert hits(bumps((row, column, 3.0)), objects) == [near, touches]


def test_both_games_equal_their_definition():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(12):
        saliency = rng.integers(0, 90, SHAPE).astype(np.float32)
        mask = np.zeros(SHAPE, bool)
        mask[tuple(rng.integers(0, SHAPE, (6, 2)).T)] = True
        found.append(hits(jnp.asarray(saliency), jnp.asarray(mask), tolerance=5.0))
        assert found[-1] == [literally(saliency, mask, 5.0, several) for several in (False, True)]
    assert all(2 < count < 10 for count in np.sum(found, axis=0))


def test_two_equal_peaks():
    """The first game takes the first pixel, S2's goes between, S1's takes the first blob."""
    saliency = bumps((3, slice(4, 7), 1.0), (16, slice(33, 36), 1.0))
    between = jnp.zeros(SHAPE, bool).at[9, 19].set(True)
    at_the_first = jnp.zeros(SHAPE, bool).at[3, 4].set(True)
    assert hits(saliency, between, tolerance=5.0) == [False, True]
    assert hits(saliency, at_the_first, tolerance=5.0) == [True, False]
    np.testing.assert_allclose(glas(saliency, BOX)[2], [3.0, 5.0])


def test_a_constant_map_points_to_the_corner_to_the_center_or_nowhere():
    flat = jnp.ones(SHAPE)
    assert hits(flat, boxes_of([0, 0, 1, 1])) == [True, False]
    assert hits(flat, boxes_of([19, 9, 20, 10])) == [False, True]
    assert not glas(flat, boxes_of([0, 0, 39, 19]))[0]


def test_a_map_that_points_nowhere_is_no_nan_of_a_computation():
    box = jnp.asarray([[0.0, 0, 39, 19]])
    with jax.debug_nans(True):
        assert not metrics.pointing_game_glas(jnp.ones(SHAPE), box)


def test_any_box_counts_and_without_one_all_miss():
    saliency = bumps((6, 12, 1.0))
    for boxes, hit in [(boxes_of([39, 19, 39, 19], [10, 5, 14, 8]), True), (boxes_of(), False)]:
        assert [*hits(saliency, boxes), bool(glas(saliency, boxes)[0])] == [hit] * 3


@pytest.mark.parametrize(
    ("row", "column", "hit"),
    [(6, 12, True), (5, 10, True), (8, 14, True), (9, 12, False), (6, 15, False)],
)
def test_glas_a_single_peak_hits_inside_the_box_only(row, column, hit):
    assert glas(bumps((row, column, 3.0)), BOX)[0] == hit


def test_glas_the_biggest_blob_decides_and_not_the_highest_pixel():
    hit, stricter, point = glas(bumps((slice(6, 8), slice(11, 13), 0.96), (15, 25, 1.0)), BOX)
    assert hit and not stricter
    np.testing.assert_allclose(point, [6.5, 11.5])


def test_small_is_below_a_quarter_and_shared_area_counts_once():
    @jax.jit
    def small(boxes):
        return metrics.is_small(boxes, SHAPE), metrics.is_small(boxes, SHAPE, share=0.26)

    assert [bool(s) for s in small(boxes_of([0, 0, 19, 9]))] == [False, True]
    for boxes, expected in [
        (boxes_of([0, 0, 18, 9]), True),
        (boxes_of([0, 0, 18, 9], [25, 15, 60, 60]), False),
        (boxes_of([0, 0, 18, 9], [0, 0, 18, 9]), True),
    ]:
        assert small(boxes)[0] == expected


@pytest.mark.usefixtures("as_users_run")
def test_wrong_input():
    saliency = bumps((6, 12, 1.0))

    def refused(message, metric, *arrays, **settings):
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(lambda: metric(*arrays, **settings))  # nothing is computed

    for game in (metrics.pointing_game, metrics.pointing_game_fong):
        refused("`tolerance` must be greater than 0; got 0", game, saliency, BOX, tolerance=0)
        refused(r"must be one map \(H, W\); got shape \(1, 20", game, saliency[None], BOX)
        refused(r"a mask of the map's shape, \(20, 40\); got \(4, 40", game, saliency, MASK[:4])
        refused(r"`boxes` must be \(B, 4\)", game, saliency, MASK.astype(jnp.float32))
    refused("threshold", metrics.pointing_game_glas, saliency, BOX, threshold=-1.0)
    refused("share", metrics.is_small, BOX, SHAPE, share=0.0)


def test_mean_over_classes():
    """Two of three, none of one, and a class with nothing but NaN, which does not count."""
    values, classes = jnp.asarray([1, 1, 0, 0, np.nan]), jnp.asarray([3, 3, 3, 0, 1])
    mean = jax.jit(functools.partial(metrics.mean_over_classes, num_classes=4))
    np.testing.assert_allclose(mean(values, classes), (2 / 3 + 0) / 2, rtol=1e-6)
    assert mean(jnp.asarray([True, False]), jnp.asarray([2, 2])) == 0.5
    assert np.isnan(mean(jnp.asarray([np.nan]), jnp.asarray([2])))
