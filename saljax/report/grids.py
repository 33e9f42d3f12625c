"""Figures people understand at a glance: rows of pictures, maps and overlays.

Figures are made with matplotlib's objects, never with pyplot's global state.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from saljax.data.folders import Edges
from saljax.report.encoded import font
from saljax.report.encoded import png as png
from saljax.report.overlays import middle_slices
from saljax.report.panels import INK, MEANING, PALE, STRETCHED, Panel, draw, legend, scale_shown

PANEL = 2.6
"""Side of a panel in inches."""
TALLEST, FLATTEST = 1.4, 0.1
"""Height of a panel over that side: what is taller is narrower, what is flatter stretched. Our
choice."""


class Row(NamedTuple):
    """Panels under one line of text.

    Attributes:
        title: what the classifier says, large.
        detail: the small print after it.
        panels: side by side.
        after: how many columns are left empty before them.
    """

    title: str
    detail: str
    panels: tuple[Panel, ...]
    after: int = 0


def explanation(
    image: np.ndarray,
    saliency: np.ndarray,
    title: str,
    detail: str = "",
    signed: bool | None = None,
    place: Edges | None = None,
) -> Row:
    """Picture, map, overlay.

    Args:
        image: (*spatial, C) in [0, 1].
        saliency: raw map of the same part of the world; a picture may have other pixels than its
            map.
        title: class and probability.
        detail: small print.
        signed: see `overlays.scale_of`.
        place: see `panels.Panel`.

    Returns:
        A row for `grid`.
    """
    meaning = MEANING[scale_shown(saliency, signed).signed]
    panels = (
        Panel(image, None, "picture", place=place),
        Panel(image, saliency, f"map: {meaning}", over=False, signed=signed, place=place),
        Panel(image, saliency, "overlay", signed=signed, place=place),
    )
    return Row(title, detail, panels)


def comparison(
    image: np.ndarray,
    saliencies: Sequence[np.ndarray],
    captions: Sequence[str],
    title: str,
    detail: str = "",
    signed: Sequence[bool | None] = (),
    place: Edges | None = None,
) -> Row:
    """Picture, then one overlay for each map: coarse to fine, several methods, several classes.

    Args:
        image: (*spatial, C) in [0, 1].
        saliencies: raw maps.
        captions: one for each map.
        title: class and probability.
        detail: small print.
        signed: one for each map, see `overlays.scale_of`; None of each by default.
        place: see `panels.Panel`.

    Returns:
        A row for `grid`.
    """
    signs = signed or [None] * len(captions)
    overlays = [
        Panel(image, s, c, signed=sign, place=place)
        for s, c, sign in zip(saliencies, captions, signs, strict=True)
    ]
    return Row(title, detail, (Panel(image, None, "picture", place=place), *overlays))


def rows(
    image: np.ndarray,
    saliency: np.ndarray,
    titles: Sequence[str],
    detail: str = "",
    captions: Sequence[str] = (),
    signed: Sequence[bool | None] = (),
    place: Edges | None = None,
) -> list[Row]:
    """Rows for one image, one a target.

    Args:
        image: (*spatial, C) in [0, 1].
        saliency: (M, T, *spatial), M maps a target.
        titles: T of them.
        detail: small print.
        captions: M of them; unused where M is 1.
        signed: M of them, see `overlays.scale_of`; None of each by default.
        place: see `panels.Panel`.

    Returns:
        T rows, an `explanation` each where M is 1, else a `comparison` of the M maps; the picture
        stands in the first alone.
    """
    if len(saliency) == 1:
        (sign,) = signed or (None,)
        of_targets = [
            explanation(image, s, t, detail, sign, place)
            for s, t in zip(saliency[0], titles, strict=True)
        ]
    else:
        of_targets = [
            comparison(image, list(saliency[:, i]), captions, title, detail, signed, place)
            for i, title in enumerate(titles)
        ]
    first, *others = of_targets
    return [first, *(Row(row.title, "", row.panels[1:], after=1) for row in others)]


def sheet(rows: Sequence[Row]) -> list[Row]:
    """Many images on one page: of each row its first and its last panel, two rows side by side.

    Args:
        rows: one an image, each an `explanation`.

    Returns:
        Rows for `grid`, without titles: an image's title is the caption of its picture, and its
        small print that of its map.
    """
    pairs = [
        (
            row.panels[0]._replace(caption=row.title),
            *(panel._replace(caption=row.detail) for panel in row.panels[1:][-1:]),
        )
        for row in rows
    ]
    return [Row("", "", sum(pairs[i : i + 2], ())) for i in range(0, len(pairs), 2)]


def colored(row: Row, colors: str) -> Row:
    """The row with other colors, see `overlays.Scale.own`."""
    return row._replace(panels=tuple(panel._replace(colors=colors) for panel in row.panels))


def only(row: Row, over: bool) -> Row:
    """The row without the picture, its maps all over it or all by themselves."""
    of_maps = [panel for panel in row.panels if panel.saliency is not None]
    there = [panel for panel in of_maps if panel.over == over]
    return row._replace(panels=tuple(p._replace(over=over) for p in there or of_maps), after=0)


class Page(Figure):
    """A figure that notebooks show, though pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        return png(self)


@font()
def grid(rows: Sequence[Row], foot: str = "") -> Figure:
    """Rows of panels as one figure.

    Below each map stands how its values became colors, from the lowest to the highest shown.

    Args:
        rows: the first has the most panels.
        foot: what is the same for all of them, small, at the foot.

    Returns:
        The figure; `png` makes a file of it.
    """
    columns = len(rows[0].panels)
    talls = [max(_size(panel.image)[1] for panel in row.panels) for row in rows]
    header, gap, margin, footer = 0.5 if any(row.title for row in rows) else 0.25, 0.08, 0.16, 0.12
    width = 2 * margin + columns * PANEL + (columns - 1) * gap
    pitches = [header + tall + footer + 2 * gap for tall in talls]
    height = 2 * margin + sum(pitches) - 2 * gap
    figure = Page(figsize=(width, height), facecolor="white")
    renderer = FigureCanvasAgg(figure).get_renderer()

    def write(x: float, y: float, text: str, room: float, **style) -> float:
        """Write text that fits into so many inches; return how many it takes."""
        text = text.encode("utf-8", "backslashreplace").decode()  # bytes of names, no letters
        written = figure.text(x / width, y / height, text, parse_math=False, va="baseline", **style)
        return _fit(written, room * figure.dpi, renderer) / figure.dpi if text else 0.0

    for r, row in enumerate(rows):
        top = height - margin - sum(pitches[:r])
        room = width - 2 * margin
        small = {"fontsize": 8, "color": PALE, "ha": "right"}
        beside = top - 0.18 if columns > 1 else top - header + 0.07  # there is room for one of them
        taken = write(width - margin, beside, row.detail, room / 2, **small)
        large = {"fontsize": 13, "color": INK, "fontweight": "bold"}
        write(margin, top - 0.18, row.title, room - (taken + gap) * (columns > 1), **large)
        for c, panel in enumerate(row.panels, row.after):
            left, (wide, tall) = margin + c * (PANEL + gap), _size(panel.image)
            style = {"fontsize": 8, "color": PALE} if row.title else {"fontsize": 10, "color": INK}
            write(left, top - header + 0.07, panel.caption, PANEL - taken * (columns == 1), **style)
            bottom = top - header - tall
            box = (left / width, bottom / height, wide / width, tall / height)
            axes = figure.add_axes(box, frame_on=False)
            draw(axes, panel)
            if panel.saliency is not None:
                legend(axes, panel, (wide, tall))
    panels = [panel for row in rows for panel in row.panels]
    if any(panel.saliency is not None and panel.image.ndim > 2 for panel in panels):
        style = {"fontsize": 6, "color": PALE}
        taken = write(width - margin, 0.07, STRETCHED, width - 2 * margin, ha="right", **style)
        if foot:
            write(margin, 0.07, foot, width - 2 * margin - taken - gap, **style)
    return figure


def _fit(written: Text, room: float, renderer: RendererAgg) -> float:
    """Take letters out of a text until it fits into so many pixels; return how many it takes.

    They are taken from the end, or from before two spaces: a probability behind them stays.
    """
    name, gap, end = written.get_text().rpartition("  ")
    if not gap:
        name, end = end, ""
    while (taken := written.get_window_extent(renderer).width) > room and name:
        name = name[: min(len(name) - 1, int(len(name) * room / taken))].rstrip()
        written.set_text(f"{name}\u2026{gap}{end}")
    return taken


def outlined(row: Row, mask: np.ndarray) -> Row:
    """The row with the edge of a mask drawn on its first panel, the picture."""
    first, *others = row.panels
    return row._replace(panels=(first._replace(outline=mask), *others))


def boxed(row: Row, boxes: np.ndarray, shape: tuple[int, ...]) -> Row:
    """The row with boxes drawn on its first panel, the picture.

    Args:
        row: of panels.
        boxes: (B, 4) x1, y1, x2, y2 in pixels of an image of `shape`.
        shape: (height, width), the picture with other pixels.

    Returns:
        The row.
    """
    first, *others = row.panels
    scale = np.asarray([first.image.shape[1] / shape[1], first.image.shape[0] / shape[0]] * 2)
    drawn = (np.reshape(boxes, (-1, 4)) + 0.5) * scale - 0.5
    return row._replace(panels=(first._replace(boxes=drawn), *others))


def _size(image: np.ndarray) -> tuple[float, float]:
    """Width and height of a panel in inches."""
    if image.ndim == 2:
        return PANEL, 0.6 * PANEL
    height, width = (middle_slices(image) if image.ndim == 4 else image).shape[:2]
    wide = PANEL * min(TALLEST * width / height, 1)
    return wide, max(wide * height / width, FLATTEST * PANEL)
