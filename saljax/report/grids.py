"""Figures people understand at a glance: rows of pictures, maps and overlays.

Figures are made with matplotlib's objects, never with pyplot's global state.
"""

import io
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from saljax.report.overlays import COLORS, middle_slices, overlay, stretch

PANEL = 2.6
"""Side of a panel in inches."""
DPI = 144
SMOOTH = "hanning"
PERCENTILE = 99.5
"""Of a map, shown brightest: a few extreme pixels of a gradient would hide all others."""
MADE_BY = f"saljax {version('saljax')}"
"""Written into each picture, so that none is taken for one to be explained."""
INK, PALE = "#1a1a1a", "#6b6b6b"


class Panel(NamedTuple):
    """One panel: the picture, or its map, or the map over the picture.

    Attributes:
        image: (*spatial, C) in [0, 1].
        saliency: raw map of the same part of the world; None to show the picture.
        caption: a word or two above the panel.
        over: the map is laid over the picture, else shown by itself.
        outline: (H, W) mask whose edge is drawn, such as the part that is known to decide.
        boxes: (B, 4) x1, y1, x2, y2 in pixels of `image`, drawn.
    """

    image: np.ndarray
    saliency: np.ndarray | None
    caption: str
    over: bool = True
    outline: np.ndarray | None = None
    boxes: np.ndarray | None = None


class Row(NamedTuple):
    """Panels under one line of text.

    Attributes:
        title: what the classifier says, large.
        detail: the small print after it.
        panels: side by side.
    """

    title: str
    detail: str
    panels: tuple[Panel, ...]


def explanation(image: np.ndarray, saliency: np.ndarray, title: str, detail: str = "") -> Row:
    """Picture, map, overlay.

    Args:
        image: (*spatial, C) in [0, 1].
        saliency: raw map of the same part of the world; a picture may have other pixels than its
            map.
        title: class and probability.
        detail: small print.

    Returns:
        A row for `grid`.
    """
    panels = (
        Panel(image, None, "picture"),
        Panel(image, saliency, "map: brighter is more important", over=False),
        Panel(image, saliency, "overlay"),
    )
    return Row(title, detail, panels)


def comparison(
    image: np.ndarray,
    saliencies: Sequence[np.ndarray],
    captions: Sequence[str],
    title: str,
    detail: str = "",
) -> Row:
    """Picture, then one overlay for each map: coarse to fine, several methods, several classes.

    Args:
        image: (*spatial, C) in [0, 1].
        saliencies: raw maps.
        captions: one for each map.
        title: class and probability.
        detail: small print.

    Returns:
        A row for `grid`.
    """
    overlays = [Panel(image, s, c) for s, c in zip(saliencies, captions, strict=True)]
    return Row(title, detail, (Panel(image, None, "picture"), *overlays))


def rows(
    image: np.ndarray,
    saliency: np.ndarray,
    titles: Sequence[str],
    detail: str = "",
    captions: Sequence[str] = (),
) -> list[Row]:
    """Rows for one image, one a target.

    Args:
        image: (*spatial, C) in [0, 1].
        saliency: (M, T, *spatial), M maps a target.
        titles: T of them.
        detail: small print.
        captions: M of them; unused where M is 1.

    Returns:
        T rows: an `explanation` each where M is 1, else a `comparison` of the M maps.
    """
    if len(saliency) == 1:
        return [explanation(image, s, t, detail) for s, t in zip(saliency[0], titles, strict=True)]
    return [
        comparison(image, list(saliency[:, i]), captions, title, detail)
        for i, title in enumerate(titles)
    ]


def sheet(rows: Sequence[Row]) -> list[Row]:
    """Many images on one page: of each row its first and its last panel, two rows side by side.

    Args:
        rows: one an image, each an `explanation`.

    Returns:
        Rows for `grid`, without titles; an image's title is the caption of its picture.
    """
    pairs = [
        (row.panels[0]._replace(caption=row.title), row.panels[-1]._replace(caption=""))
        for row in rows
    ]
    return [Row("", "", sum(pairs[i : i + 2], ())) for i in range(0, len(pairs), 2)]


def grid(rows: Sequence[Row]) -> Figure:
    """Rows of panels as one figure.

    Args:
        rows: the first has the most panels.

    Returns:
        The figure; `png` makes a file of it.
    """
    columns = len(rows[0].panels)
    tall = PANEL * _aspect(rows[0].panels[0].image)
    header, gap, margin = 0.5 if any(row.title for row in rows) else 0.25, 0.08, 0.16
    width = 2 * margin + columns * PANEL + (columns - 1) * gap
    pitch = header + tall + 2 * gap
    height = 2 * margin + len(rows) * pitch - 2 * gap
    figure = Figure(figsize=(width, height), facecolor="white")

    def write(x: float, y: float, text: str, **style):
        text = text.encode("utf-8", "backslashreplace").decode()  # bytes of names, no letters
        figure.text(x / width, y / height, text, parse_math=False, va="baseline", **style)

    for r, row in enumerate(rows):
        top = height - margin - r * pitch
        write(margin, top - 0.18, row.title, fontsize=13, color=INK, fontweight="bold")
        write(width - margin, top - 0.18, row.detail, fontsize=8, color=PALE, ha="right")
        for c, panel in enumerate(row.panels):
            left, bottom = margin + c * (PANEL + gap), top - header - tall
            style = {"fontsize": 8, "color": PALE} if row.title else {"fontsize": 10, "color": INK}
            write(left, top - header + 0.07, panel.caption, **style)
            box = (left / width, bottom / height, PANEL / width, tall / height)
            draw(figure.add_axes(box, frame_on=False), panel)
    return figure


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


def _aspect(image: np.ndarray) -> float:
    """Height over width of a panel."""
    if image.ndim == 2:
        return 0.6
    height, width = (middle_slices(image) if image.ndim == 4 else image).shape[:2]
    return height / width


def draw(axes: Axes, panel: Panel) -> None:
    """Draw one panel: a signal as a line, a picture as it is, a volume as its middle slices."""
    axes.set_axis_off()
    if panel.image.ndim == 2:
        _draw_signal(axes, panel)
        return
    image, saliency = panel.image, panel.saliency
    if image.ndim == 4:
        image = middle_slices(image)
        saliency = None if saliency is None else middle_slices(saliency)
    shown = np.broadcast_to(image, (*image.shape[:2], 3))
    if saliency is not None:
        if panel.over:
            shown = overlay(image, saliency, PERCENTILE)
        else:
            shown = stretch(saliency, PERCENTILE)
    axes.imshow(shown, cmap=COLORS, vmin=0, vmax=1, interpolation=SMOOTH)
    for color, width in (("black", 2.4), ("white", 1.2)):
        if panel.outline is not None:
            axes.contour(panel.outline, levels=[0.5], colors=color, linewidths=width)
        for x1, y1, x2, y2 in panel.boxes if panel.boxes is not None else ():
            axes.add_patch(
                Rectangle(
                    (x1, y1), x2 - x1, y2 - y1,
                    fill=False, edgecolor=color, linewidth=width, clip_on=False,
                )
            )  # fmt: skip


def _draw_signal(axes: Axes, panel: Panel) -> None:
    length, (low, high) = len(panel.image), (panel.image.min(), panel.image.max())
    pad = 0.05 * (high - low) or 0.5
    extent = (0, length - 1, low - pad, high + pad)
    axes.set(xlim=extent[:2], ylim=extent[2:])
    if panel.saliency is not None:
        strip = stretch(panel.saliency)[None]
        brightest = 1.5 if panel.over else 1.0  # the white line stays visible over orange
        axes.imshow(strip, cmap=COLORS, vmin=0, vmax=brightest, extent=extent, aspect="auto")
    if panel.saliency is None or panel.over:
        axes.plot(panel.image, color=INK if panel.saliency is None else "white", linewidth=1.2)


def png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    with rc_context({"font.family": "DejaVu Sans"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # shown as a box
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": MADE_BY})
    return buffer.getvalue()
