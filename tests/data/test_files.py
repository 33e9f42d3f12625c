"""Reading pictures of every kind, and what is said about files that are none."""

import io
import struct
import sys
import types
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, features

from saljax.data import files, folders

RED = (200, 40, 20)


def read(tmp_path, picture, name="a.png", **options):
    picture.save(tmp_path / name, **options)
    return files.read_image(tmp_path / name)


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


def twelve_bits(path, pairs):
    """A TIFF of rows of two pixels, 12 bits each, packed into three bytes."""
    rows = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs)
    tags = {256: 2, 257: len(pairs), 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 279: len(rows)}
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(rows)) + rows + directory)


@pytest.mark.parametrize(
    ("dtype", "values", "white", "guessed"),
    [
        ("uint16", [0, 1, 40000, 65535], 65535, False),
        ("uint16", [0, 1, 2000, 4000], 4095, True),
        ("uint16", [0, 700], 1023, True),
        ("int32", [0, 1, 128, 255], 255, True),
        ("int32", [0, 40000], 65535, True),
        ("int32", [0, 0], 1, False),
        ("float32", [0, 0.25, 1], 1, False),
        ("float32", [0, 0.25, 254.5], 255, True),
        ("float32", [3.5, 3000], 4095, True),
    ],
)
def test_more_than_eight_bits(tmp_path, dtype, values, white, guessed):
    for name in ("a.tif", "a.png") if dtype == "uint16" else ("a.tif",):
        Image.fromarray(np.array([values], dtype)).save(tmp_path / name)
        opened = files.open_image(tmp_path / name)
        assert (opened.values, opened.guessed) == ((0, white), guessed)
        expected = np.repeat(np.array(values)[None, :, None] / white, 3, -1)
        np.testing.assert_allclose(opened.image, expected, rtol=1e-6)


def test_a_files_own_depth_is_no_guess(tmp_path):
    """Values that would be guessed to have 10 bits."""
    twelve_bits(tmp_path / "packed.tif", [(0, 500), (900, 1000)])
    Image.fromarray(np.array([[500]], np.uint16)).save(tmp_path / "a.tif", tiffinfo={281: 1000})
    opened = files.open_image(tmp_path / "packed.tif")
    assert (opened.values, opened.guessed) == ((0, 4095), False)
    np.testing.assert_allclose(opened.image[..., 0] * 4095, [[0, 500], [900, 1000]], rtol=1e-6)
    opened = files.open_image(tmp_path / "a.tif")
    assert (opened.values, opened.guessed, opened.image.max()) == ((0, 1000), False, 0.5)


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_black_and_white_as_told(tmp_path, dtype):
    Image.fromarray(np.array([[50, 100, 150, 300]], dtype)).save(tmp_path / "a.tif")
    opened = files.open_image(tmp_path / "a.tif", (100, 200))
    assert (opened.values, opened.guessed) == ((100, 200), False)
    np.testing.assert_array_equal(opened.image[0, :, 1], [0, 0, 0.5, 1])


@pytest.mark.parametrize(
    ("dtype", "values"),
    [("int32", [-5, 9]), ("int32", [0, 10**6]), ("float32", [0, 2]), ("float32", [-0.1, 1])],
)
def test_values_that_suggest_no_range(tmp_path, dtype, values):
    Image.fromarray(np.array([values], dtype)).save(tmp_path / "a.tif")
    with pytest.raises(files.UnreadableImage, match=r"outside .*--range"):
        files.read_image(tmp_path / "a.tif")


def test_a_few_bits_of_a_portable_graymap_are_scaled_by_its_own_maximum(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 1000 " + struct.pack(">HH", 10, 500))
    opened = files.open_image(tmp_path / "a.pgm")
    assert not opened.guessed
    np.testing.assert_allclose(opened.image[0, :, 0], [0.01, 0.5], atol=1e-4)


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


def test_one_pixel(tmp_path):
    assert read(tmp_path, Image.new("RGB", (1, 1), RED)).shape == (1, 1, 3)


@pytest.mark.parametrize("name", ["a.png", "rgba.png", "p.png", "deep.tif", "a.jpg"])
def test_what_is_large_is_reduced(tmp_path, monkeypatch, name):
    """Blocks of two by two pixels, to their mean."""
    monkeypatch.setattr(files, "MOST_PIXELS", 1000)
    values = np.random.default_rng(0).integers(0, 4, (48, 64), np.uint8) * 60
    smooth = np.repeat(np.repeat(values[::8, ::8], 8, 0), 8, 1)
    picture = Image.fromarray(smooth)
    if name == "deep.tif":
        picture = Image.fromarray(smooth.astype(np.uint16) * 257)
    modes = {"rgba.png": "RGBA", "p.png": "P", "a.jpg": "RGB"}
    picture = picture.convert(modes.get(name, picture.mode))
    picture.save(tmp_path / name, **({"quality": 100} if name == "a.jpg" else {}))
    opened = files.open_image(tmp_path / name, (0, 65535))
    assert opened.size == (48, 64) and opened.image.shape == (24, 32, 3)
    mean = smooth.reshape(24, 2, 32, 2).mean((1, 3)) / 255
    np.testing.assert_allclose(opened.image[..., 0], mean, atol=0.02)


def test_a_large_jpeg_is_reduced_while_it_is_decoded(tmp_path, monkeypatch):
    """And its size is that of the file, upright."""
    monkeypatch.setattr(files, "MOST_PIXELS", 1000)
    monkeypatch.setattr(files, "_free_memory", lambda: 16 * 32 * 24)  # too little for 64 x 48
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48), RED).save(tmp_path / "a.jpg", exif=exif)
    opened = files.open_image(tmp_path / "a.jpg")
    assert opened.size == (64, 48) and opened.image.shape == (32, 24, 3)
    Image.new("RGB", (64, 48), RED).save(tmp_path / "a.png")
    with pytest.raises(files.UnreadableImage, match="pixels, too many for the memory"):
        files.open_image(tmp_path / "a.png")


def test_pillows_limit_is_not_ours(tmp_path, monkeypatch):
    Image.new("RGB", (30, 20), RED).save(tmp_path / "a.png")
    for limit in (400, 200):  # Pillow warns over the limit and raises over twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert files.read_image(tmp_path / "a.png").shape == (20, 30, 3)
        assert limit == Image.MAX_IMAGE_PIXELS


@pytest.fixture
def plugins(monkeypatch):
    """Which endings Pillow knows, to be changed; nobody has a plugin."""
    monkeypatch.setattr(Image, "EXTENSION", dict(Image.registered_extensions()))
    for ending in (".heic", ".heif", ".hif", ".avif"):
        Image.EXTENSION.pop(ending, None)
    for name in files.PLUGINS:
        monkeypatch.setitem(sys.modules, name, None)
    files.suffixes.cache_clear()
    yield monkeypatch
    files.suffixes.cache_clear()


def test_endings_of_pictures(tmp_path, plugins):
    for name in ("a.jfif", "b.JPE", "c.heic", "d.svg", "e.avif", "f.jp2", "._g.heic", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in folders.list_images(tmp_path)] == ["a.jfif", "b.JPE", "f.jp2"]
    said = "3 that cannot be read (c.heic, d.svg, e.avif); .heic needs pip install 'saljax[heif]'"
    assert folders.unread(tmp_path) == said
    with pytest.raises(files.UnreadableImage, match=r"not an image.*saljax\[heif\]"):
        files.read_image(tmp_path / "c.heic")
    for name in ("a.jfif", "b.JPE", "f.jp2"):
        (tmp_path / name).unlink()
    with pytest.raises(files.UnreadableImage, match=r"without images, but for 3 .*c\.heic"):
        folders.list_images(tmp_path)


def test_a_plugin_brings_its_formats(tmp_path, plugins):
    """A format of which Pillow knows nothing: a PNG with other first letters."""

    class Toy(PngImagePlugin.PngImageFile):
        format = "TOY"

        def _open(self):
            self.fp = io.BytesIO(self.fp.read().replace(b"toy", b"\x89PNG", 1))
            super()._open()

    def register():
        Image.register_open("TOY", Toy, lambda prefix: prefix.startswith(b"toy"))
        Image.register_extension("TOY", ".heic")

    Image.new("RGB", (3, 2), RED).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes().replace(b"\x89PNG", b"toy", 1)
    (tmp_path / "a.heic").write_bytes(content)
    module = types.ModuleType("pillow_heif")
    module.__dict__["register_heif_opener"] = register
    plugins.setitem(sys.modules, "pillow_heif", module)
    plugins.setattr(Image, "ID", list(Image.ID))
    plugins.setattr(Image, "OPEN", dict(Image.OPEN))
    assert files.read_image(tmp_path / "a.heic").shape == (2, 3, 3)
    assert folders.is_picture(tmp_path / "a.heic") and folders.unread(tmp_path) == ""


@pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a.avif", "a.jp2"])
def test_formats_of_phones_and_browsers(tmp_path, name):
    if name == "a.avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    Image.new("RGB", (16, 12), RED).save(tmp_path / name)
    assert folders.list_images(tmp_path) == [tmp_path / name]
    np.testing.assert_allclose(files.read_image(tmp_path / name)[6, 8] * 255, RED, atol=8)


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
    with pytest.raises(files.UnreadableImage, match=words):
        files.read_image(tmp_path / name)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".gif"])
def test_damaged_files(tmp_path, suffix):
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"a{suffix}"
    Image.fromarray(values).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(files.UnreadableImage) as caught:
        files.read_image(path)
    assert "\n" not in str(caught.value)


def test_arrays(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.full((4, 5, 1), 7.5))
    array = files.read_array(path)
    assert array.dtype == np.float32 and array.shape == (4, 5, 1) and array.max() == 7.5
    for bad, words in [
        (np.array([object()]), "not a .npy file"),
        (np.arange(3), "floating-point"),
        (np.array([np.nan]), "not finite"),
        (np.full((2, 2, 3), 255.0), "outside 0..1; .*--range"),
    ]:
        np.save(path, bad, allow_pickle=True)
        with pytest.raises(files.UnreadableImage, match=words):
            files.read_array(path)
    for content in (b"", b"PK\x03\x04", b"\x93NUMPY"):
        path.write_bytes(content)
        with pytest.raises(files.UnreadableImage, match="not a .npy file"):
            files.read_array(path)


def test_many_threads_leave_the_warnings_of_the_process_alone(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (40, 30)).save(path)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(files.read_image, [path] * 200))
    assert list(warnings.filters) == before


def test_an_array_with_black_and_white_as_told():
    content = io.BytesIO()
    np.save(content, np.array([[[0, 100, 150]]], np.uint16))
    content.seek(0)
    np.testing.assert_array_equal(files.read_array(content, (100, 200)), [[[0, 0, 0.5]]])
