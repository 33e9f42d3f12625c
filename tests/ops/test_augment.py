"""Mirrored and cut-out pictures against slow twins, and the ranges that are promised."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saljax.ops import augment

cut = jax.jit(augment.random_resized_crop, static_argnums=(2, 3))


def cut_slowly(image, top, left, height, width, side):
    """Bilinear, pixel by pixel; a triangle as wide as a pixel of whichever grid is coarser."""
    result = np.zeros((side, side, image.shape[-1]))
    weights = []
    for start, length, pixels in ((top, height, image.shape[0]), (left, width, image.shape[1])):
        step = length / side
        center = start + (np.arange(side) + 0.5) * step - 0.5
        distance = np.abs(center[:, None] - np.arange(pixels)[None]) / max(step, 1)
        weight = np.maximum(0, 1 - distance)
        weights.append(weight / weight.sum(axis=1, keepdims=True))
    for i in range(side):
        for j in range(side):
            w = weights[0][i][:, None, None] * weights[1][j][None, :, None]
            result[i, j] = (w * image).sum(axis=(0, 1))
    return result


def rectangle(key, number, least_area):
    """Top, left, height and width of the cuttings as the docstring has them, of a unit square."""
    of_area, of_ratio, of_place = jax.random.split(key, 3)
    area = np.asarray(jax.random.uniform(of_area, (number,), minval=least_area, maxval=1.0))
    log = np.log(4 / 3).astype(np.float32)
    ratio = np.exp(np.asarray(jax.random.uniform(of_ratio, (number,), minval=-log, maxval=log)))
    place = np.asarray(jax.random.uniform(of_place, (number, 2)))
    height, width = np.minimum(1, np.sqrt(area / ratio)), np.minimum(1, np.sqrt(area * ratio))
    return place[:, 0] * (1 - height), place[:, 1] * (1 - width), height, width


@pytest.mark.parametrize("side", [4, 12])
def test_random_resized_crop_is_the_slow_cut(key, side):
    images = jax.random.uniform(jax.random.key(1), (5, 9, 7, 3))
    found = cut(images, key, side, 0.3)
    for image, got, top, left, height, width in zip(
        np.asarray(images), found, *rectangle(key, 5, 0.3), strict=True
    ):
        expected = cut_slowly(image, top * 9, left * 7, height * 9, width * 7, side)
        np.testing.assert_allclose(got, expected, atol=2e-5)


def test_cuttings_have_the_areas_and_ratios_promised(key):
    """A picture whose pixels are their own coordinates tells where a cutting came from."""
    axis = (np.arange(64, dtype=np.float32) + 0.5) / 64
    coordinates = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    images = jnp.broadcast_to(coordinates, (400, 64, 64, 2))
    cuts = np.asarray(cut(images, key, 32, 0.25))
    # From the center of one place to that of another 20 places on; the borders bend.
    height = (cuts[:, 26, 16, 0] - cuts[:, 6, 16, 0]) * 32 / 20
    width = (cuts[:, 16, 26, 1] - cuts[:, 16, 6, 1]) * 32 / 20
    assert (height * width > 0.25 - 0.01).all() and (height * width < 1.01).all()
    assert (height * width).min() < 0.3 and (height * width).max() > 0.9
    ratio = width / height
    assert (ratio < 4 / 3 + 0.02).all() and (ratio > 3 / 4 - 0.02).all()
    assert ratio.min() < 0.78 and ratio.max() > 1.28
    assert cuts[:, 16, 16].min() < 0.35 and cuts[:, 16, 16].max() > 0.65


def test_mirror_swaps_about_half_and_left_with_right_only(key):
    images = jax.random.uniform(jax.random.key(2), (200, 3, 4, 1))
    mirrored = np.asarray(augment.mirror(images, key))
    swapped = (mirrored == np.asarray(images)[:, :, ::-1]).all(axis=(1, 2, 3))
    same = (mirrored == np.asarray(images)).all(axis=(1, 2, 3))
    assert (swapped ^ same).all() and 70 < swapped.sum() < 130
