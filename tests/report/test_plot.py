"""The command line's pictures from Python."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

import saljax
from saljax.report.panels import STRETCHED

PICTURE = np.full((8, 12, 3), 0.5, np.float32)
MAP = np.linspace(0, 1, 96, dtype=np.float32).reshape(8, 12)


def texts(figure):
    return [text.get_text() for text in figure.texts if text.get_text() != STRETCHED]


def test_one_map_is_shown_alone_and_over_its_picture():
    figure = saljax.plot(PICTURE, MAP, title="a bird  99 %")
    assert texts(figure) == [
        "", "a bird  99 %", "picture", "map: brighter is more important", "overlay",
    ]  # fmt: skip
    with Image.open(io.BytesIO(figure._repr_png_())) as drawn:
        assert drawn.format == "PNG" and np.asarray(drawn.convert("L")).std() > 10


@pytest.mark.parametrize(
    ("maps", "captions", "shown"),
    [
        ({"CAM": MAP, "RISE": -MAP}, (), ["CAM", "RISE"]),
        (np.stack([MAP, MAP, MAP]), (), ["map 0", "map 1", "map 2"]),
        ([MAP, MAP], ("dog", "cat"), ["dog", "cat"]),
        (MAP, ("fine",), ["fine"]),
    ],
)
def test_several_maps_each_over_the_picture(maps, captions, shown):
    assert texts(saljax.plot(PICTURE, maps, captions=captions))[2:] == ["picture", *shown]


def test_a_row_for_each_of_several_images(tmp_path):
    signal = np.zeros((20, 1), np.float32)
    volume, cube = np.zeros((4, 5, 6, 1), np.float32), np.ones((4, 5, 6), np.float32)
    for image, saliency in ((signal, np.ones(20, np.float32)), (volume, cube)):
        figure = saljax.plot([image, image], [saliency, saliency], title=["one", "two"])
        assert {"one", "two"} <= set(texts(figure))
    figure.savefig(tmp_path / "two.pdf")
    assert (tmp_path / "two.pdf").read_bytes().startswith(b"%PDF")


def test_outline_and_boxes_are_drawn_on_the_picture():
    figure = saljax.plot(PICTURE, MAP, outline=MAP > 0.5, boxes=[(1, 1, 4, 5)])
    assert len(figure.axes[0].patches) == 2 and len(figure.axes[0].collections) == 2
    assert not figure.axes[1].patches


@pytest.mark.parametrize(
    ("image", "saliency", "keywords", "says"),
    [
        (PICTURE, np.zeros(8), {}, r"map of an image \(8, 12, 3\) has 2 axes; got \(\)"),
        (PICTURE, {"a": np.zeros(8)}, {}, r"2 axes; got \(8,\) for a"),
        (PICTURE, [MAP, MAP], {"captions": ["a"]}, "`captions` must be 2, one a map; got 1"),
        ([PICTURE, PICTURE], [MAP], {}, "got 2 images, 1 maps and 2 titles"),
        (255 * PICTURE, MAP, {}, "colors up to 127.5. Divide them by 255"),
    ],
)
def test_what_does_not_go_together_is_said(image, saliency, keywords, says):
    with pytest.raises(ValueError, match=says):
        saljax.plot(image, saliency, **keywords)


def test_bytes_are_drawn_as_the_fractions_that_they_stand_for():
    colors = np.linspace(0, 255, 288).astype(np.uint8).reshape(8, 12, 3)
    drawn = [saljax.plot(one, MAP)._repr_png_() for one in (colors, colors / np.float32(255))]
    assert drawn[0] == drawn[1]


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("matplotlib", "saljax.report"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'saljax\[cli\]'"):
        saljax.plot(PICTURE, MAP)


def test_a_map_of_a_part_of_a_photograph_in_other_colors():
    photograph, saliency = np.zeros((30, 40, 3)), np.eye(8, dtype=np.float32)
    figure = saljax.plot(photograph, saliency, crop=[5, 0, 35, 30], colormap="viridis")
    _, alone, over = figure.axes
    for axes in (alone, over):
        assert axes.images[-1].get_extent() == [4.5, 34.5, 29.5, -0.5]
        assert axes.get_xlim() == (-0.5, 39.5)
    assert alone.images[-1].get_cmap().name == "viridis"
