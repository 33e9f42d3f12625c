"""Figures people understand at a glance: rows of pictures, maps and overlays.

Figures are made with matplotlib's objects, never with pyplot's global state.
"""

import io
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saljax.report.overlays import COLORS, middle_slices, overlay, stretch

PANEL = 2.6
"""Side of a panel in inches."""
DPI = 144
SMOOTH = "hanning"
INK, PALE = "#1a1a1a", "#6b6b6b"


class Panel(NamedTuple):
    """One panel: the picture, or its map, or both.

    Attributes:
        image: (*spatial, C) in [0, 1], or None to show the map alone.
        saliency: raw map (*spatial) of the same part of the world, or None.
        caption: a word or two above the panel.
    """

    image: np.ndarray | None
    saliency: np.ndarray | None
    caption: str


class Row(NamedTuple):
    """Panels side by side under one line of text.

    Attributes:
        title: what the classifier says, large.
        detail: the small print after it.
        panels: as many in every row of a figure.
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
        Panel(None, saliency, "map: brighter is more important"),
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


def grid(rows: Sequence[Row]) -> Figure:
    """Rows of panels as one figure.

    Args:
        rows: with equally many panels each.

    Returns:
        The figure; `png` makes a file of it.
    """
    columns = len(rows[0].panels)
    tall = PANEL * _aspect(rows[0].panels[0].image)
    header, gap, margin = 0.5, 0.08, 0.16
    width = 2 * margin + columns * PANEL + (columns - 1) * gap
    pitch = header + tall + 2 * gap
    height = 2 * margin + len(rows) * pitch - 2 * gap
    figure = Figure(figsize=(width, height), facecolor="white")

    def write(x: float, y: float, text: str, **style):
        figure.text(x / width, y / height, text, parse_math=False, va="baseline", **style)

    for r, row in enumerate(rows):
        top = height - margin - r * pitch
        write(margin, top - 0.18, row.title, fontsize=13, color=INK, fontweight="bold")
        write(width - margin, top - 0.18, row.detail, fontsize=8, color=PALE, ha="right")
        for c, panel in enumerate(row.panels):
            left, bottom = margin + c * (PANEL + gap), top - header - tall
            write(left, top - header + 0.07, panel.caption, fontsize=8, color=PALE)
            box = (left / width, bottom / height, PANEL / width, tall / height)
            draw(figure.add_axes(box, frame_on=False), panel)
    return figure


def _aspect(image: np.ndarray | None) -> float:
    """Height over width of a panel."""
    if image is None or image.ndim < 3:
        return 0.6
    height, width = (middle_slices(image) if image.ndim == 4 else image).shape[:2]
    return height / width


def draw(axes: Axes, panel: Panel) -> None:
    """Draw one panel: a signal as a line, a picture as it is, a volume as its middle slices."""
    image, saliency = panel.image, panel.saliency
    rank = image.ndim - 1 if image is not None else np.ndim(saliency)
    if rank == 1:
        return _draw_signal(axes, image, saliency)
    if rank == 3:
        image = None if image is None else middle_slices(image)
        saliency = None if saliency is None else middle_slices(saliency)
    axes.set_axis_off()
    if image is None and saliency is not None:
        axes.imshow(stretch(saliency), cmap=COLORS, vmin=0, vmax=1, interpolation=SMOOTH)
    elif image is not None:
        picture = np.broadcast_to(image, (*image.shape[:2], 3))
        shown = picture if saliency is None else overlay(picture, saliency)
        axes.imshow(shown, interpolation=SMOOTH)
    return None


def _draw_signal(axes: Axes, image: np.ndarray | None, saliency: np.ndarray | None) -> None:
    axes.set_axis_off()
    low, high = (0.0, 1.0) if image is None else (float(image.min()), float(image.max()))
    pad = 0.05 * (high - low) or 0.5
    if saliency is not None:
        strip = stretch(saliency)[None]
        extent = (0, strip.shape[1] - 1, low - pad, high + pad)
        axes.imshow(strip, cmap=COLORS, vmin=0, vmax=1, extent=extent, aspect="auto")
    if image is not None:
        axes.plot(image, color=INK if saliency is None else "white", linewidth=1.2)
        axes.set(xlim=(0, len(image) - 1), ylim=(low - pad, high + pad))


def png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    with rc_context({"font.family": "DejaVu Sans"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # shown as a box
        figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
