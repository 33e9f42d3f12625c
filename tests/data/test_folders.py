"""Folders of pictures, and pictures framed for a classifier."""

import numpy as np
import pytest
from PIL import Image

from saljax.data import folders


def test_a_directory_is_its_pictures(tmp_path):
    with pytest.raises(folders.UnreadableImage, match="is a directory"):
        folders.read_image(tmp_path)
    with pytest.raises(folders.UnreadableImage, match="without images"):
        folders.list_images(tmp_path)
    for name in ("b.PNG", "a.jpg", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in folders.list_images(tmp_path)] == ["a.jpg", "b.PNG"]


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (97, 250), (30, 40), (256, 256)])
def test_prepare_is_resize_then_center_crop(shape):
    """Literally: resize the whole picture with Pillow, then cut out the middle."""
    image = np.random.default_rng(0).random((*shape, 3)).astype(np.float32)
    height, width = shape
    size = (64, int(64 * height / width)) if width < height else (int(64 * width / height), 64)
    planes = [
        Image.fromarray(image[..., c]).resize(size, Image.Resampling.BILINEAR) for c in range(3)
    ]
    whole = np.stack([np.asarray(plane) for plane in planes], -1)
    top, left = round((size[1] - 56) / 2), round((size[0] - 56) / 2)
    expected = whole[top : top + 56, left : left + 56]
    np.testing.assert_allclose(folders.prepare(image, 64, 56), expected, atol=2e-5)


def test_prepare_without_crop_shows_everything():
    image = np.zeros((20, 50, 3), np.float32)
    image[:, 25:] = 1
    framed = folders.prepare(image, 8)
    assert framed.shape == (8, 8, 3)
    np.testing.assert_allclose(framed.mean(), 0.5, atol=1e-6)


def test_a_very_long_picture_costs_no_more_than_a_square_one():
    assert folders.prepare(np.ones((2, 200_000, 3), np.float32), 256, 224).shape == (224, 224, 3)


@pytest.mark.parametrize("shape", [(300, 200), (60, 100), (1, 1), (3, 1000)])
def test_seen_is_the_part_that_prepare_shows(shape):
    """A smooth ramp has the same values in the part seen as in the prepared picture."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    image = np.stack([y / shape[0], x / shape[1], 0 * x], -1)
    framed, seen = folders.prepare(image, 32, 28), folders.seen(image, 32, 28)
    pixel = 1.5 / min(shape) + 0.5 / 32  # half a pixel of each: maxima are at pixel centers
    np.testing.assert_allclose(seen.mean((0, 1)), framed.mean((0, 1)), atol=pixel)
    np.testing.assert_allclose(seen.max((0, 1)), framed.max((0, 1)), atol=pixel)
    assert min(seen.shape[:2]) >= 1


def test_hidden_files_are_no_pictures(tmp_path):
    for name in ("a.png", "._a.png", ".b.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in folders.list_images(tmp_path)] == ["a.png"]
