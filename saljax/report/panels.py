"""One panel of a figure: a picture, its map, or the map over the picture."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from saljax.data.folders import Edges, cut, whole_pixels
from saljax.report.overlays import (
    GLOW,
    Scale,
    faint,
    middle_slices,
    overlay,
    scale_of,
    slice_names,
)

SMOOTH = "hanning"
PERCENTILE = 99.5
"""Of a map, shown brightest: a few extreme pixels of a gradient would hide all others."""
STRETCHED = "each map on a scale of its own; 0.5 % of its values lie beyond either end"
"""Said of `PERCENTILE` at the foot of a page."""
MEANING = {False: "brighter is more important", True: "red speaks for it, blue against it"}
"""Of the colors of a map, by whether it is signed."""
ROUNDED = 0.005
"""Share of the highest value below which the lowest is called 0 in a legend."""
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
        signed: see `overlays.scale_of`.
        place: left, upper, right and lower edge, in pixels of `image`, of what the map is of, which
            may be less than all of it, or more; None: all of it.
        colors: see `overlays.Scale.own`.
    """

    image: np.ndarray
    saliency: np.ndarray | None
    caption: str
    over: bool = True
    outline: np.ndarray | None = None
    boxes: np.ndarray | None = None
    signed: bool | None = None
    place: Edges | None = None
    colors: str = ""

    @property
    def scale(self) -> Scale:
        """How its map is colored."""
        return scale_shown(np.asarray(self.saliency), self.signed)._replace(own=self.colors)


def draw(axes: Axes, panel: Panel) -> None:
    """Draw one panel: a signal as a line, a picture as it is, a volume as its middle slices.

    A map of a part of the picture lies in its place, framed; beside it the picture is faint.
    """
    axes.set_axis_off()
    if panel.image.ndim == 2:
        _draw_signal(axes, panel)
        return
    image, saliency, place = panel.image, panel.saliency, panel.place
    if image.ndim == 4:
        image = middle_slices(image)
        saliency = None if saliency is None else middle_slices(saliency)
    for column, name in slice_names(panel.image.shape) if panel.image.ndim == 4 else ():
        edge = withStroke(linewidth=1.2, foreground="black")
        axes.text(column, 0, name, fontsize=5, color="white", va="top", path_effects=[edge])
    height, width = image.shape[:2]
    whole = (0, 0, width, height)
    left, top, right, bottom = place = whole if place is None else whole_pixels(place, image.shape)
    if saliency is None:
        _show(axes, np.broadcast_to(image, (*image.shape[:2], 3)), whole)
    elif panel.over:
        if place != whole:
            _show(axes, faint(image), whole)
        part = cut(image, place)
        _show(axes, overlay(part, saliency, PERCENTILE, panel.signed, panel.colors), place)
    else:
        scale = panel.scale
        norm = Normalize(-1 if scale.signed else 0, 1)
        _show(axes, scale(saliency), place, cmap=scale.colors, norm=norm)
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    if place != whole:
        last = min(right, width) - 1, min(bottom, height) - 1
        _frame(axes, (max(left, 0), max(top, 0), *last))
    for color, width in (("black", 2.4), ("white", 1.2)):
        if panel.outline is not None:
            axes.contour(panel.outline, levels=[0.5], colors=color, linewidths=width)
        for box in panel.boxes if panel.boxes is not None else ():
            _frame(axes, box, color, width)


def _show(axes: Axes, pixels: np.ndarray, edges: Edges, **colors) -> None:
    left, top, right, bottom = (edge - 0.5 for edge in edges)
    extent = (left, right, bottom, top)
    axes.imshow(pixels, extent=extent, interpolation=SMOOTH, aspect="auto", **colors)


def _frame(
    axes: Axes, box: Sequence[float] | np.ndarray, color: str = INK, width: float = 0.8
) -> None:
    """Draw the edges of a box, x1, y1, x2, y2 being the middles of pixels."""
    x1, y1, x2, y2 = box
    style = {"fill": False, "edgecolor": color, "linewidth": width, "clip_on": False}
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, **style))


def _draw_signal(axes: Axes, panel: Panel) -> None:
    length, (low, high) = len(panel.image), (panel.image.min(), panel.image.max())
    pad = 0.05 * (high - low) or 0.5
    extent = (0, length - 1, low - pad, high + pad)
    axes.set(xlim=extent[:2], ylim=extent[2:])
    line = INK
    if panel.saliency is not None:
        scale = panel.scale
        line = INK if scale.signed else "white"
        brightest = 1.5 if panel.over else 1.0  # the line stays visible over orange, or over red
        norm = Normalize(-brightest if scale.signed else 0, brightest)
        strip = scale(panel.saliency)[None]
        axes.imshow(strip, cmap=scale.colors, norm=norm, extent=extent, aspect="auto")
    if panel.saliency is None or panel.over:
        axes.plot(panel.image, color=line, linewidth=1.2)


def legend(axes: Axes, panel: Panel, size: tuple[float, float]) -> None:
    """Draw a strip of the colors of a map below its panel, and the values at its ends.

    Args:
        axes: of the panel.
        panel: with a map.
        size: its width and height in inches.
    """
    scale, (wide, tall) = panel.scale, size
    style = {"fontsize": 6, "color": PALE, "va": "center", "parse_math": False}
    strip = axes.inset_axes((0.0, -0.1 / tall, 0.52 / wide, 0.045 / tall))
    strip.set_axis_off()
    if not scale.high > scale.low:
        strip.text(0, 0.5, f"{scale.low:.2g} everywhere", transform=strip.transAxes, **style)
        return
    is_laid = panel.over and panel.image.ndim > 2 and not scale.signed
    colors, norm = np.linspace(0, GLOW if is_laid else 1, 256)[None], Normalize(0, 1)
    strip.imshow(colors, cmap=scale.colors, norm=norm, aspect="auto", extent=(0, 1, 0, 1))
    low = 0.0 if abs(scale.low) < ROUNDED * scale.high else scale.low
    ends = f"{low:.2g} (against it) to {scale.high:.2g} (for it)" if scale.signed else ""
    ends = ends or f"{low:.2g} to {scale.high:.2g}"
    strip.text(1.08, 0.5, ends, transform=strip.transAxes, **style)


def scale_shown(saliency: np.ndarray, signed: bool | None = None) -> Scale:
    """How a map is colored: by what is seen of it, of a signal without hiding its extremes."""
    if saliency.ndim == 1:
        return scale_of(saliency, signed=signed)
    seen = middle_slices(saliency) if saliency.ndim == 3 else saliency
    return scale_of(seen, PERCENTILE, signed)
