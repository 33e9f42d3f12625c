"""Folders of pictures, and pictures framed for a classifier."""

import numpy as np
import pytest
from PIL import Image

from saljax.data import folders

BILINEAR = Image.Resampling.BILINEAR


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


def test_prepare_padded_shows_everything_in_its_shape():
    """Literally: the long side resized by Pillow, the rest of the square black on both sides."""
    image = np.random.default_rng(0).random((30, 50, 3)).astype(np.float32)
    planes = [Image.fromarray(image[..., c]).resize((8, 5), BILINEAR) for c in range(3)]
    expected = np.zeros((8, 8, 3), np.float32)
    expected[1:6] = np.stack([np.asarray(plane) for plane in planes], -1)
    np.testing.assert_allclose(folders.prepare(image, 8, padded=True), expected, atol=1e-6)
    assert not folders.prepare(np.ones((1, 900, 3), np.float32), 8, padded=True)[[0, -1]].any()


@pytest.mark.parametrize("framing", [(32, 28, False), (32, None, False), (32, None, True)])
@pytest.mark.parametrize("shape", [(300, 200), (90, 151), (40, 40)])
def test_the_frame_is_where_the_prepared_picture_lies(shape, framing):
    """Pixels that say where they are still do, to a fifth of one, a filter from the edges."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) + np.float32(0.5)
    framed = folders.prepare(np.stack([y, x, np.ones_like(x)], -1), *framing)
    left, top, right, bottom = folders.frame(shape, *framing)
    side = len(framed)
    places = (np.arange(side) + 0.5) / side
    rows = np.broadcast_to(top + places[:, None] * (bottom - top), (side, side))
    columns = np.broadcast_to(left + places * (right - left), (side, side))
    far = 2 * max(right - left, bottom - top) / side
    inside = (
        (np.minimum(rows, columns) > far) & (rows < shape[0] - far) & (columns < shape[1] - far)
    )
    assert inside.sum() > side**2 / 3
    np.testing.assert_allclose(framed[inside][:, 0], rows[inside], atol=0.2)
    np.testing.assert_allclose(framed[inside][:, 1], columns[inside], atol=0.2)


def test_what_is_cut_out_has_at_least_one_pixel_and_is_black_beyond():
    image = np.arange(24, dtype=np.float32).reshape(4, 6, 1) + 1
    np.testing.assert_array_equal(folders.cut(image, (1, 0, 4, 3.4)), image[:3, 1:4])
    np.testing.assert_array_equal(folders.cut(image, (5.9, 3.8, 5.9, 3.8)), image[3:, 5:])
    beyond = folders.cut(image, (-1, 3, 7, 5))
    assert beyond.shape == (2, 8, 1) and beyond.sum() == image[3].sum()
    np.testing.assert_array_equal(beyond[0, 1:7], image[3])


def test_hidden_files_are_no_pictures(tmp_path):
    for name in ("a.png", "._a.png", ".b.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in folders.list_images(tmp_path)] == ["a.png"]


def test_a_part_of_a_picture_in_the_size_of_the_whole():
    picture = np.zeros((6, 8, 3), np.float32)
    picture[:, 4:] = 1
    np.testing.assert_array_equal(folders.resample(picture, (6, 8)), picture)
    np.testing.assert_array_equal(folders.resample(picture, (6, 8), (0, 0, 8, 6)), picture)
    assert not folders.resample(picture, (6, 8), (0, 0, 3, 6)).any()
