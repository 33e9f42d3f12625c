import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax
from saljax.metrics import pointing_game


def bumps(*peaks):
    saliency = np.zeros((20, 30), np.float32)
    for rows, columns, height in peaks:
        saliency[rows, columns] = height
    return jnp.asarray(saliency)


BOX = jnp.asarray([[10.0, 5.0, 14.0, 8.0]])


@pytest.mark.parametrize(
    ("row", "column", "hit"),
    [(6, 12, True), (5, 10, True), (8, 14, True), (9, 12, False), (6, 15, False)],
)
def test_a_single_peak_hits_inside_the_box_only(row, column, hit):
    assert saljax.metrics.pointing_game_glas(bumps((row, column, 3.0)), BOX) == hit


def test_the_biggest_blob_decides_and_not_the_highest_pixel():
    saliency = bumps((slice(6, 8), slice(11, 13), 0.96), (15, 25, 1.0))
    assert saljax.metrics.pointing_game_glas(saliency, BOX)
    assert not saljax.metrics.pointing_game_glas(saliency, BOX, threshold=0.97)
    np.testing.assert_allclose(pointing_game.localization_point(saliency), [6.5, 11.5])


def test_any_box_counts_and_a_constant_map_misses():
    boxes = jnp.concatenate([jnp.asarray([[0.0, 0.0, 1.0, 1.0]]), BOX])
    assert saljax.metrics.pointing_game_glas(bumps((6, 12, 1.0)), boxes)
    assert not saljax.metrics.pointing_game_glas(
        jnp.ones((20, 30)), jnp.asarray([[0.0, 0, 30, 20]])
    )


def test_jit_and_vmap():
    maps = jnp.stack([bumps((6, 12, 1.0)), bumps((0, 0, 1.0))])
    hits = jax.jit(jax.vmap(saljax.metrics.pointing_game_glas))(maps, jnp.stack([BOX, BOX]))
    assert hits.tolist() == [True, False]
