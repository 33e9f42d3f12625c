"""Boxes: which are none, and where they lie for the classifier."""

import numpy as np
import pytest

from saljax.data import boxes, folders


def test_wrong_boxes():
    good = [
        [0, 0, 9, 7], [-3, -3, 2, 2], [5, 5, 40, 40], [8.5, 6.5, 9, 7], [3, 3, 3, 6], [3, 6, 6, 6],
        [9, 0, 12, 4], [0, 7, 4, 12], [-5, -5, 0, 0],
    ]  # fmt: skip
    bad = [
        [6, 3, 3, 6], [3, 6, 6, 3], [10, 0, 12, 4], [0, 8, 4, 12], [-5, -5, -1, -1],
        [np.nan, 0, 4, 4], [0, 0, np.inf, 5],
    ]  # fmt: skip
    found = boxes.wrong(np.asarray(good + bad, float), (8, 10))
    assert found.tolist() == [False] * len(good) + [True] * len(bad)


def test_shares_are_edges():
    """A quarter to a half of 96 columns are the columns 24 to 47."""
    found = boxes.in_pixels(np.asarray([[0.25, 0.0, 0.5, 1.0]]), (40, 96))
    np.testing.assert_array_equal(found, [[24, 0, 47, 39]])
    framed = boxes.follow(boxes.in_pixels(np.asarray([[0.1, 0.25, 0.5, 0.75]]), (96, 96)),
                          (96, 96), 32, None)  # fmt: skip
    inside = (np.arange(32) + 0.5) / 32
    columns = np.flatnonzero((inside >= 0.1) & (inside < 0.5))
    np.testing.assert_array_equal(framed, [[columns[0], 8, columns[-1], 23]])


def pixels_of(low, high, length, short, resize, crop):
    """Pixels of a row of the prepared picture whose centers lie between two edges, one by one."""
    resized = resize if crop is None else int(length * resize / short)
    begin = 0 if crop is None else round((resized - crop) / 2)
    centers = (np.arange(crop or resize) + begin + 0.5) * length / resized
    return np.flatnonzero((centers >= low) & (centers < high))


@pytest.mark.parametrize("crop", [None, 24, 32])
def test_a_box_is_the_pixels_whose_centers_it_holds(crop):
    rng = np.random.default_rng(0)
    for _ in range(50):
        size = tuple(rng.integers(20, 150, 2).tolist())  # larger and smaller than 32
        height, width = size
        x, y = np.sort(rng.integers(0, width, 2)), np.sort(rng.integers(0, height, 2))
        columns = pixels_of(x[0], x[1] + 1, width, min(size), 32, crop)
        rows = pixels_of(y[0], y[1] + 1, height, min(size), 32, crop)
        found = boxes.follow(np.asarray([[x[0], y[0], x[1], y[1]]], float), size, 32, crop)
        if len(rows) and len(columns):
            expected = [[columns[0], rows[0], columns[-1], rows[-1]]]
            np.testing.assert_array_equal(found, expected)
        elif len(found):  # less than a pixel is left: the nearest
            assert len(columns) == 1 + found[0, 2] - found[0, 0] or found[0, 2] == found[0, 0]
            assert len(rows) == 1 + found[0, 3] - found[0, 1] or found[0, 3] == found[0, 1]


@pytest.mark.parametrize(("resize", "crop"), [(32, 24), (32, None)])
def test_a_box_follows_what_it_holds(resize, crop):
    """A bright patch of the picture lies after `prepare` where its box lies after `follow`."""
    rng, away = np.random.default_rng(1), []
    for _ in range(60):
        height, width = size = tuple(rng.integers(20, 120, 2).tolist())
        y1, y2 = int(rng.uniform(0.36, 0.46) * height), int(rng.uniform(0.54, 0.64) * height)
        x1, x2 = int(rng.uniform(0.36, 0.46) * width), int(rng.uniform(0.54, 0.64) * width)
        picture = np.zeros((height, width, 3), np.float32)
        picture[y1 : y2 + 1, x1 : x2 + 1] = 1
        seen = folders.prepare(picture, resize, crop)[..., 0]
        (box,) = boxes.follow(np.asarray([[x1, y1, x2, y2]], float), size, resize, crop)
        rows, columns = (np.flatnonzero(seen.max(axis) > seen.max() / 2) for axis in (1, 0))
        away.append(box - [columns[0], rows[0], columns[-1], rows[-1]])
    assert np.abs(away).max() <= 1
    assert np.abs(np.mean(away, axis=0)).max() < 0.1


def test_what_the_crop_leaves_of_a_box():
    """96 x 192 pixels to a short side of 48, then the central 32: columns 32 to 64 of 96."""
    given = [[0, 0, 191, 95], [0, 0, 63, 95], [60, 0, 80, 95], [0, 0, 191, 15], [96, 40, 99, 47]]
    found = boxes.follow(np.asarray(given, float), (96, 192), 48, 32)
    # Pixel 7 of the crop is columns 78 and 79 of the picture; of 80 and 81 the box has half.
    np.testing.assert_array_equal(found, [[0, 0, 31, 31], [0, 0, 7, 31], [16, 12, 17, 15]])
    assert found.dtype == np.float32


def test_of_a_small_box_one_pixel_is_left():
    """200 pixels to 20: ten to one; what holds no center is the pixel that it lies in."""
    given = [[101, 52, 102, 54], [101, 59, 112, 61]]
    found = boxes.follow(np.asarray(given, float), (200, 200), 20, None)
    np.testing.assert_array_equal(found[0, [0, 2]], [10, 10])
    np.testing.assert_array_equal(found[1], [10, 6, 10, 6])


def test_padded():
    found = boxes.padded([[1, 2, 3, 4]], 3)
    np.testing.assert_array_equal(found[0], [1, 2, 3, 4])
    assert found.shape == (3, 4) and np.isnan(found[1:]).all()
    assert np.isnan(boxes.padded([], 1)).all()
