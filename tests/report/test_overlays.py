"""Maps over pictures: what is bright, what is gray, and what a constant map does."""

import numpy as np
import pytest

from saljax.report import overlays


def test_stretch():
    saliency = np.array([[2.0, 4.0], [3.0, 2.5]], np.float32)
    np.testing.assert_allclose(overlays.stretch(saliency), [[0, 1], [0.5, 0.25]])
    np.testing.assert_array_equal(overlays.stretch(np.full((2, 2), 7.0)), 0)
    outlier = np.append(np.linspace(0, 1, 999), 1000).astype(np.float32)
    assert overlays.stretch(outlier)[500] < 0.01
    np.testing.assert_allclose(overlays.stretch(outlier, 99)[500], 0.5, atol=0.01)


def test_a_signed_map_is_shown_around_zero():
    """From -m to m, m the larger end; a little below zero is rounding."""
    saliency = np.array([[-1.0, 0.0], [2.0, 4.0]], np.float32)
    scale = overlays.scale_of(saliency)
    assert scale[:3] == (-4, 4, True)
    np.testing.assert_allclose(scale(saliency), [[-0.25, 0], [0.5, 1]])
    below = overlays.scale_of(-saliency - 10)
    assert below[:3] == (-14, 14, True) and below(-saliency - 10).max() < 0
    assert overlays.scale_of(np.array([-0.01, 1.0]))[:3] == (-0.01, 1.0, False)
    assert not overlays.scale_of(np.zeros(3)).signed
    one_pixel = np.append(np.linspace(0, 1, 999), -1).astype(np.float32)
    assert overlays.scale_of(one_pixel).signed
    assert not overlays.scale_of(one_pixel, 99).signed


def test_a_method_may_say_whether_its_maps_are_signed():
    """What lies below zero is then only little; or zero is the middle though nothing is below."""
    saliency = np.array([[-1.0, 0.0], [2.0, 4.0]], np.float32)
    assert overlays.scale_of(saliency, signed=False)[:3] == (-1, 4, False)
    assert overlays.scale_of(abs(saliency), signed=True)[:3] == (-4, 4, True)
    image = np.full((2, 2, 3), 0.5, np.float32)
    shown = [overlays.overlay(image, saliency, signed=signed) for signed in (None, False)]
    assert shown[0][0, 0, 2] > shown[0][0, 0, 0] + 0.05  # blue
    np.testing.assert_allclose(shown[1][0, 0], 0.25, atol=0.01)  # as dark as what says nothing


def test_overlay_of_a_signed_map_is_red_blue_and_light_gray():
    image = np.broadcast_to(np.float32([0.1, 0.4, 0.1]), (20, 60, 3))
    saliency = np.zeros((20, 60), np.float32)
    saliency[:, :20], saliency[:, 40:] = 1, -1
    shown = overlays.overlay(image, saliency)
    red, gray, blue = shown[10, 5], shown[10, 30], shown[10, 55]
    assert red[0] > red[2] + 0.3 and blue[2] > blue[0] + 0.3
    np.testing.assert_allclose(gray, 0.6, atol=1e-6)  # half of the picture's mean, on half white


def test_overlay_shows_color_only_where_the_map_is_high():
    image = np.broadcast_to(np.float32([0.9, 0.1, 0.1]), (40, 40, 3))
    saliency = np.zeros((10, 10), np.float32)
    saliency[:, :5] = 1
    shown = overlays.overlay(image, saliency)
    assert shown.shape == (40, 40, 3) and shown.dtype == np.float32
    assert shown.min() >= 0 and shown.max() <= 1
    left, right = shown[:, 5], shown[:, 35]
    np.testing.assert_allclose(right, np.broadcast_to(right[:, :1], right.shape), atol=1e-6)
    assert (left[:, 0] > left[:, 2] + 0.3).all()
    assert left.mean() > right.mean()


def test_overlay_of_one_channel_and_of_a_constant_map():
    shown = overlays.overlay(np.full((6, 6, 1), 0.8, np.float32), np.ones((6, 6), np.float32))
    np.testing.assert_allclose(shown, 0.4, atol=1e-6)


def test_a_coarse_picture_does_not_hide_the_map():
    saliency = np.zeros((20, 20), np.float32)
    saliency[5, 5] = 1
    shown = overlays.overlay(np.full((1, 1, 3), 0.5, np.float32), saliency)
    assert shown.shape == (20, 20, 3)
    assert np.unravel_index(shown.sum(-1).argmax(), (20, 20)) == (5, 5)


def test_middle_slices():
    volume = np.arange(2 * 3 * 4.0).reshape(2, 3, 4)
    shown = overlays.middle_slices(volume)
    assert shown.shape == (3, 4 + 4 + 3)
    np.testing.assert_array_equal(shown[:, :4], volume[1])
    np.testing.assert_array_equal(shown[:2, 4:8], volume[:, 1])
    np.testing.assert_array_equal(shown[:2, 8:], volume[:, :, 2])
    assert overlays.middle_slices(volume[..., None]).shape == (3, 11, 1)


@pytest.mark.parametrize("ground", [(1, 1, 1), (1, 0.85, 0.1)])
def test_what_matters_is_seen_on_snow_and_on_yellow(ground):
    """Farther from the ground, and from where nothing is, than a glance can miss."""
    image = np.broadcast_to(np.float32(ground), (8, 8, 3))
    saliency = np.zeros((8, 8), np.float32)
    saliency[2:4, 2:4] = 1
    laid = overlays.overlay(image, saliency)
    for other in (laid[7, 7], np.float32(ground)):
        assert abs(laid[3, 3] - other).max() > 0.2
