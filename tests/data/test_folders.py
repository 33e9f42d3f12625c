"""Reading pictures of every kind, framing them, and what is said about files that are none."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from saljax.data import folders

RED = (200, 40, 20)


def read(tmp_path, picture, name="a.png", **options):
    picture.save(tmp_path / name, **options)
    return folders.read_image(tmp_path / name)


def test_rgb_is_exact(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    image = read(tmp_path, Image.fromarray(values))
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, values.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "RGBA", "CMYK", "YCbCr"])
def test_other_modes_become_rgb(tmp_path, mode):
    """A white picture is white in every mode."""
    suffix = ".tif" if mode in ("CMYK", "YCbCr") else ".png"
    image = read(tmp_path, Image.new("RGB", (4, 3), "white").convert(mode), f"a{suffix}")
    np.testing.assert_array_equal(image, np.ones((3, 4, 3), np.float32))


def test_cmyk_jpeg_keeps_its_color(tmp_path):
    image = read(tmp_path, Image.new("RGB", (16, 16), RED).convert("CMYK"), "a.jpg", quality=100)
    np.testing.assert_allclose(image, np.broadcast_to(np.divide(RED, 255), (16, 16, 3)), atol=0.02)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_scaled_by_65535(tmp_path, name):
    values = np.array([[0, 1, 40000, 65535]], np.uint16)
    image = read(tmp_path, Image.fromarray(values), name)
    expected = np.repeat(values[..., None] / 65535, 3, -1)
    np.testing.assert_allclose(image, expected, rtol=1e-6)


def test_floating_point_is_taken_as_it_is_or_refused(tmp_path):
    image = read(tmp_path, Image.fromarray(np.array([[0.0, 0.25, 1.0]], np.float32)), "a.tif")
    np.testing.assert_array_equal(image[0, :, 1], np.float32([0, 0.25, 1]))
    with pytest.raises(folders.UnreadableImage, match="outside"):
        read(tmp_path, Image.fromarray(np.array([[0.0, 2.0]], np.float32)), "b.tif")


def test_transparent_pixels_are_laid_on_white(tmp_path):
    picture = Image.new("RGBA", (3, 1), (0, 0, 0, 0))
    picture.putpixel((1, 0), (255, 0, 0, 128))
    picture.putpixel((2, 0), (255, 0, 0, 255))
    image = read(tmp_path, picture)
    half = 1 - 128 / 255
    np.testing.assert_allclose(image[0], [[1, 1, 1], [1, half, half], [1, 0, 0]], atol=0.005)
    palette = Image.new("P", (1, 1))
    palette.putpalette([0, 0, 0])
    np.testing.assert_array_equal(read(tmp_path, palette, "p.png", transparency=0), 1.0)


def test_exif_orientation_is_applied(tmp_path):
    picture = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held with its right side down: turn clockwise
    image = read(tmp_path, picture, exif=exif)
    assert image.shape == (3, 2, 3)
    expected = np.rot90(np.asarray(picture), -1) / 255
    np.testing.assert_allclose(image[..., 0], expected, rtol=1e-6)


def test_one_pixel_and_many(tmp_path):
    assert read(tmp_path, Image.new("RGB", (1, 1), RED)).shape == (1, 1, 3)
    large = read(tmp_path, Image.new("RGB", (6000, 4000), RED), "large.png")
    assert large.shape == (4000, 6000, 3)
    framed = folders.prepare(large, 256, 224)
    np.testing.assert_allclose(framed, np.broadcast_to(np.divide(RED, 255), (224, 224, 3)), 1e-5)


def test_a_bomb_is_refused_before_it_unpacks(tmp_path, monkeypatch):
    Image.new("1", (300, 300)).save(tmp_path / "a.png")
    for limit in (50_000, 10_000):  # Pillow warns over the limit and raises over twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(folders.UnreadableImage, match="pixels"):
            folders.read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.jpg", None, "no such file"),
        ("text.jpg", b"hello", "not an image"),
        ("empty.png", b"", "not an image"),
        ("drawing.svg", b"<svg/>", "not an image"),
    ],
)
def test_files_that_are_no_pictures(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(folders.UnreadableImage, match=words):
        folders.read_image(tmp_path / name)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".gif"])
def test_damaged_files(tmp_path, suffix):
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"a{suffix}"
    Image.fromarray(values).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(folders.UnreadableImage) as caught:
        folders.read_image(path)
    assert "\n" not in str(caught.value)


def test_a_directory_is_its_pictures(tmp_path):
    with pytest.raises(folders.UnreadableImage, match="is a directory"):
        folders.read_image(tmp_path)
    with pytest.raises(folders.UnreadableImage, match="without images"):
        folders.list_images(tmp_path)
    for name in ("b.PNG", "a.jpg", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in folders.list_images(tmp_path)] == ["a.jpg", "b.PNG"]


def test_arrays(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.full((4, 5, 1), 7.5))
    array = folders.read_array(path)
    assert array.dtype == np.float32 and array.shape == (4, 5, 1) and array.max() == 7.5
    for bad, words in [
        (np.array([object()]), "not a .npy file"),
        (np.arange(3), "floating-point"),
        (np.array([np.nan]), "not finite"),
        (np.full((2, 2, 3), 255.0), "outside 0..1"),
    ]:
        np.save(path, bad, allow_pickle=True)
        with pytest.raises(folders.UnreadableImage, match=words):
            folders.read_array(path)
    for content in (b"", b"PK\x03\x04", b"\x93NUMPY"):
        path.write_bytes(content)
        with pytest.raises(folders.UnreadableImage, match="not a .npy file"):
            folders.read_array(path)


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


def test_many_threads_leave_the_warnings_of_the_process_alone(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (40, 30)).save(path)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(folders.read_image, [path] * 200))
    assert list(warnings.filters) == before


def test_hidden_files_are_no_pictures(tmp_path):
    for name in ("a.png", "._a.png", ".b.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in folders.list_images(tmp_path)] == ["a.png"]
