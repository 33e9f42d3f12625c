"""Figures: as many panels as asked for, readable text, any spatial rank."""

import io
import os
import warnings

import numpy as np
import pytest
from PIL import Image

from saljax.report import grids
from saljax.report.encoded import MADE_BY, encoded
from saljax.report.panels import STRETCHED

RNG = np.random.default_rng(0)


def pixels(figure):
    with Image.open(io.BytesIO(grids.png(figure))) as picture:
        return np.asarray(picture.convert("RGB")) / 255


def texts(figure):
    return [text.get_text() for text in figure.texts if text.get_text() != STRETCHED]


@pytest.mark.parametrize("shape", [(50,), (20, 30), (8, 9, 10)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_rank_and_channel_count_is_drawn(shape, channels):
    image = RNG.random((*shape, channels)).astype(np.float32)
    saliency = RNG.random(shape).astype(np.float32)
    figure = grids.grid([grids.explanation(image, saliency, "a class  54.1 %")])
    assert len(figure.axes) == 3
    assert pixels(figure).std() > 0.05


def test_one_row_a_target_and_one_column_a_map():
    image, maps = RNG.random((9, 9, 3)), RNG.random((2, 3, 9, 9)).astype(np.float32)
    rows = grids.rows(image, maps, ["a", "b", "c"], "detail", ["sigma 6", "sigma 3"])
    figure = grids.grid(rows)
    assert len(rows) == 3 and len(figure.axes) == 3 + 2 + 2  # the picture once
    assert {"a", "b", "c", "detail", "picture", "sigma 6", "sigma 3"} == {*texts(figure)} - {""}
    single = grids.rows(image, maps[:1], ["a", "b", "c"])
    assert [panel.caption for panel in single[0].panels] == [
        "picture", "map: brighter is more important", "overlay",
    ]  # fmt: skip
    np.testing.assert_array_equal(single[2].panels[0].saliency, maps[0, 2])
    assert len(grids.grid(single).axes) == 3 + 2 + 2


def test_a_method_may_say_that_its_map_is_not_signed():
    image, saliency = RNG.random((5, 5, 3)), np.linspace(-1, 1, 25).reshape(5, 5).astype("f")
    maps = np.stack([saliency[None]] * 2)
    for signed, words in [(None, "(against it)"), (False, "-0.99 to 0.99")]:
        one = grids.grid(grids.rows(image, maps[:1], ["a"], signed=[signed]))
        assert any("red speaks" in text for text in texts(one)) == (signed is None)
        both = grids.grid(grids.rows(image, maps, ["a"], "", ["x", "y"], [False, signed]))
        strips = [strip.texts[0].get_text() for axes in both.axes for strip in axes.child_axes]
        assert words in strips[-1] and "(" not in strips[0]


def test_a_page_says_what_its_colors_are_stretched_to():
    image, saliency = RNG.random((5, 5, 3)), RNG.random((5, 5)).astype(np.float32)
    signal = RNG.random((9, 1)).astype(np.float32)
    for row, said in [
        (grids.explanation(image, saliency, "a"), 1),
        (grids.Row("a", "", (grids.Panel(image, None, "picture"),)), 0),
        (grids.explanation(signal, signal[:, 0], "a"), 0),  # from its lowest to its highest
    ]:
        figure = grids.grid([row])
        assert len(figure.texts) - len(texts(figure)) == said


def test_a_sheet_has_two_images_a_row():
    image, saliency = RNG.random((5, 5, 3)), RNG.random((5, 5)).astype(np.float32)
    rows = grids.sheet([grids.explanation(image, saliency, title, "x") for title in "abc"])
    figure = grids.grid(rows)
    assert [len(row.panels) for row in rows] == [4, 2]
    assert len(figure.axes) == 6 and [t for t in texts(figure) if t] == list("axbxcx")
    assert pixels(figure).shape[1] > pixels(figure).shape[0]


def test_the_picture_is_shown_as_it_is():
    image = np.full((10, 10, 3), [0.2, 0.4, 0.6])
    figure = grids.grid([grids.explanation(image, np.eye(10, dtype=np.float32), "")])
    shown = pixels(figure)
    middle = shown[int(shown.shape[0] * 0.6), shown.shape[1] // 6]
    np.testing.assert_allclose(middle, [0.2, 0.4, 0.6], atol=0.01)


def test_a_map_lies_in_its_place_on_the_whole_picture():
    """Beside it the picture is faint, above the overlay and not in the picture itself."""
    image, saliency = np.zeros((20, 30, 3)), RNG.random((7, 7)).astype(np.float32)
    (row,) = grids.rows(image, saliency[None, None], ["a"], place=(5.2, -3, 15.4, 12))
    picture, alone, over = grids.grid([row]).axes
    for axes in (picture, alone, over):
        assert axes.get_xlim() == (-0.5, 29.5) and axes.get_ylim() == (19.5, -0.5)
        (frame,) = axes.patches
        assert frame.get_bbox().extents.tolist() == [5, 0, 14, 11]
    extents = [axes.images[-1].get_extent() for axes in (alone, over)]
    assert extents == [[4.5, 14.5, 11.5, -3.5]] * 2
    assert np.all(picture.images[0].get_array() == 0) and over.images[0].get_array().min() >= 0.7


def test_panels_have_the_shape_of_their_pictures():
    shapes = [(20, 40), (40, 20), (1, 999), (30, 30)]
    images = [np.zeros((*shape, 3)) for shape in shapes]
    rows = [grids.Row("", "", (grids.Panel(image, None, ""),)) for image in images]
    figure = grids.grid(rows)
    width, height = figure.get_size_inches()
    sizes = [axes.get_position().size * (width, height) for axes in figure.axes]
    ratios = [tall / wide for wide, tall in sizes]
    np.testing.assert_allclose(ratios, [0.5, 2, grids.FLATTEST, 1])
    np.testing.assert_allclose(
        [size.max() for size in sizes], grids.PANEL * np.array([1, 1.4, 1, 1])
    )


def test_a_volume_says_which_slices_are_shown():
    image = RNG.random((8, 9, 10, 1)).astype(np.float32)
    (row,) = grids.rows(image, RNG.random((1, 1, 8, 9, 10)).astype(np.float32), ["a"])
    for axes in grids.grid([row]).axes:
        said = {text.get_text()[:5]: text.get_position()[0] for text in axes.texts}
        assert said == {"z = 4": 0, "y = 4": 10, "x = 5": 20}


def test_maps_alone_or_laid_over_in_other_colors():
    """Colors around a middle are those of signed maps, others those of the rest."""
    image, maps = np.ones((6, 6, 3)), RNG.random((2, 1, 6, 6)).astype(np.float32)
    for number, over in [(1, True), (1, False), (2, True), (2, False)]:
        (row,) = grids.rows(image, maps[:number], ["a"], captions="xy")
        left = grids.only(row, over)
        assert [panel.over for panel in left.panels] == [over] * number
    signed = row._replace(panels=tuple(p._replace(signed=True) for p in row.panels[1:]))
    for colors, expected in [("magma", ("magma", "RdBu_r")), ("PuOr", ("inferno", "PuOr"))]:
        shown = [grids.colored(one, colors).panels[-1].scale.colors for one in (row, signed)]
        assert tuple(shown) == expected


@pytest.mark.parametrize(("ending", "start"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_pictures_for_print_have_letters(ending, start):
    (row,) = grids.rows(np.ones((3, 3, 3)), np.eye(3, dtype=np.float32)[None, None], ["a heron"])
    first, second = (encoded(grids.grid([row]), ending) for _ in range(2))
    assert first == second and first.startswith(start) and MADE_BY.encode() in first
    assert (b"a heron" in first) == (ending == "svg")  # PDF packs them


def test_text_is_text():
    """Neither mathematics nor a missing glyph stops a picture."""
    row = grids.explanation(np.ones((4, 4, 3)), np.ones((4, 4), np.float32), r"$\frac$ 金魚")
    assert pixels(grids.grid([row])).min() < 0.5


@pytest.mark.parametrize("shape", [(50,), (20, 30), (8, 9, 10)])
def test_each_map_says_what_its_colors_mean(shape):
    """A strip of the colors below it, and the values at the ends of the strip."""
    image, saliency = np.ones((*shape, 1)), np.arange(np.prod(shape)).reshape(shape) % 2 * 3
    for signed, maps in [(False, saliency), (True, 3 * saliency - 3)]:
        figure = grids.grid([grids.explanation(image, maps.astype(np.float32), "a")])
        meaning = "red speaks for it" if signed else "brighter is more important"
        assert any(meaning in text for text in texts(figure))
        legends = [axes.child_axes for axes in figure.axes]
        assert [len(strips) for strips in legends] == [0, 1, 1]
        (strip,) = legends[1]
        assert strip.images[0].get_cmap().name == ("RdBu_r" if signed else "inferno")
        ends = strip.texts[0].get_text()
        assert ends == ("-6 (against it) to 6 (for it)" if signed else "0 to 3")
        shown = pixels(figure)
        assert shown.shape[0] > 0 and np.ptp(shown[-30:, shown.shape[1] // 2 :]) > 0.5


def test_the_map_of_what_is_nowhere_is_dark_and_that_of_a_signed_one_white():
    zero = np.zeros((40, 40), np.float32)
    for speck, white in [(1.0, False), (-1.0, True)]:
        saliency = zero.copy()
        saliency[:4, :4] = speck
        panel = grids.Panel(np.zeros((40, 40, 3)), saliency, "", over=False)
        shown = pixels(grids.grid([grids.Row("", "", (panel,))]))
        middle = shown[int(shown.shape[0] * 0.6), shown.shape[1] // 2]
        assert (middle.min() > 0.9) == white and (middle.max() < 0.1) != white


@pytest.mark.parametrize("name", ["n" * 200, "金魚" * 60, "many words " * 20])
def test_a_long_name_leaves_room_and_its_probability(name):
    row = grids.explanation(np.ones((4, 4, 3)), np.eye(4, dtype=np.float32), f"{name}  54.1 %")
    row = row._replace(detail="x" * 300)
    figure = grids.grid([row])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detail, title, *_ = (text.get_window_extent() for text in figure.texts)
    assert title.x0 > 0 and title.x1 < detail.x0 and detail.x1 < figure.bbox.x1
    shown = figure.texts[1].get_text()
    assert shown.endswith("\u2026  54.1 %") and len(shown) > 15
    (caption,) = [t for t in grids.grid(grids.sheet([row, row])).texts if t.get_text()][:1]
    assert caption.get_text().endswith("\u2026  54.1 %")


def test_a_single_panel_has_room_for_its_title():
    """What is beside it in wide figures stands below, and is what gives way."""
    image, saliency = np.zeros((9, 9, 3)), np.ones((9, 9))
    row = grids.comparison(image, [saliency], [""], "zebra  > 99.9 %", "grad_cam, m")
    figure = grids.grid([grids.only(row, over=True)])
    assert {"zebra  > 99.9 %", "grad_cam, m"} <= {t.get_text() for t in figure.texts}


def test_what_is_the_same_for_all_stands_at_the_foot():
    row = grids.explanation(np.zeros((9, 9, 3)), np.ones((9, 9)), "a bird  99 %")
    figure = grids.grid(grids.sheet([row, row]), "grad_cam, resnet18")
    (foot,) = [t for t in figure.texts if t.get_text() == "grad_cam, resnet18"]
    (stretched,) = [t for t in figure.texts if t.get_text() == grids.STRETCHED]
    assert foot.get_window_extent().x1 < stretched.get_window_extent().x0


def test_bytes_of_names_that_are_no_letters():
    row = grids.explanation(
        np.ones((4, 4, 3)), np.eye(4, dtype=np.float32), os.fsdecode(b"caf\xe9")
    )
    assert "caf\\udce9" in texts(grids.grid([row]))


def test_boxes_follow_the_size_of_the_picture():
    """A box around the whole of 4 x 8 pixels is one around the whole of any picture."""
    image, saliency = np.full((20, 40, 3), 0.5), np.ones((4, 8), np.float32)
    row = grids.comparison(image, [saliency], ["a"], "title")
    row = grids.boxed(row, np.array([[-0.5, -0.5, 7.5, 3.5], [2, 1, 3, 2]]), (4, 8))
    first, other = row.panels
    np.testing.assert_allclose(first.boxes, [[-0.5, -0.5, 39.5, 19.5], [12, 7, 17, 12]])
    assert other.boxes is None
    figure = grids.grid([row])
    assert [len(axes.patches) for axes in figure.axes] == [4, 0]  # a dark and a light line each


def test_a_few_extreme_pixels_hide_nothing():
    """Half of a map is at 1, one pixel at 100: the half is bright."""
    saliency = np.zeros((40, 40), np.float32)
    saliency[:, 20:], saliency[0, 0] = 1, 100
    panel = grids.Panel(np.zeros((40, 40, 3)), saliency, "", over=False)
    figure = grids.grid([grids.Row("", "", (panel,))])
    middle = pixels(figure)[int(pixels(figure).shape[0] * 0.6)]
    assert middle[: len(middle) // 3].max() > 0.9  # margin
    assert middle[int(len(middle) * 0.7)].mean() > 0.7 > 0.1 > middle[int(len(middle) * 0.3)].mean()
