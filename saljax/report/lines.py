"""Mean curves of several methods, side by side."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from saljax.report.encoded import font
from saljax.report.panels import INK, PALE

WIDE, TALL = 4.2, 3.2
"""Of a panel in inches."""
MOST = 3
"""Panels side by side."""


class Lines(NamedTuple):
    """A panel.

    Attributes:
        title: of the panel.
        along: what is on its horizontal axis.
        at: (P,) places on that.
        means: name -> (P,).
        errors: name -> (P,), drawn as a band around the mean; NaN where there is none.
    """

    title: str
    along: str
    at: np.ndarray
    means: Mapping[str, np.ndarray]
    errors: Mapping[str, np.ndarray]


def draw(panels: Sequence[Lines], dashed: Sequence[str] = ()) -> Figure:
    """Draw curves; a name has one color in all panels.

    Args:
        panels: at least one.
        dashed: names whose lines are dashed and gray.

    Returns:
        The figure; `grids.png` makes a file of it.
    """
    rows = -(-len(panels) // MOST)
    columns = -(-len(panels) // rows)
    names = list(dict.fromkeys(name for panel in panels for name in panel.means))
    colored = [name for name in names if name not in dashed]
    cycle = matplotlib.colormaps["tab10" if len(colored) <= 10 else "tab20"]
    style = {name: {"color": cycle(i % cycle.N)} for i, name in enumerate(colored)}
    style |= {
        name: {"color": "0.55", "linestyle": ("--", ":", "-.")[i % 3]}
        for i, name in enumerate(dashed)
    }
    with font():
        size = WIDE * columns, TALL * rows + 0.5
        figure = Figure(figsize=size, facecolor="white", layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for axes, panel in zip(grid.flat, panels, strict=False):
            for name, mean in panel.means.items():
                axes.plot(panel.at, mean, linewidth=1.4, label=name, **style[name])
                error = np.nan_to_num(panel.errors[name])
                color = style[name]["color"]
                band = mean - error, mean + error
                axes.fill_between(panel.at, *band, color=color, alpha=0.15, linewidth=0)
            axes.set_title(panel.title, loc="left", fontsize=10, color=INK, parse_math=False)
            axes.set_xlabel(panel.along, fontsize=8, color=PALE)
            axes.tick_params(labelsize=7, colors=PALE)
            axes.spines[["top", "right"]].set_visible(False)
        says = "mean over the images; bands: a standard error"
        figure.supxlabel(says, fontsize=7, color=PALE, x=0.01, ha="left")
        handles = {h.get_label(): h for axes in grid.flat for h in axes.get_lines()}
        figure.legend(
            handles.values(),
            handles,
            loc="outside lower center",
            ncols=6,
            fontsize=8,
            frameon=False,
        )
    return figure
