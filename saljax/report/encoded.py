"""Figures as the bytes of files."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

DPI = 144
MADE_BY = f"saljax {version('saljax')}"
"""Written into each picture, so that none is taken for one to be explained."""


@contextlib.contextmanager
def font() -> Iterator[None]:
    """The font that comes with matplotlib; letters that it does not have are shown as boxes."""
    with rc_context({"font.family": "DejaVu Sans"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        yield


def png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    return encoded(figure)


def encoded(figure: Figure, ending: str = "png", dpi: int = DPI) -> bytes:
    """The figure as the bytes of a file.

    Args:
        figure: of `grid`.
        ending: png, pdf or svg; the letters of the last two stay letters.
        dpi: pixels an inch, of a PNG and of the pictures in the others.
    """
    buffer = io.BytesIO()
    dates = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[ending]
    name = "Software" if ending == "png" else "Creator"
    letters: Any = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "saljax"}
    with font(), rc_context(letters):
        figure.savefig(buffer, format=ending, dpi=dpi, metadata={name: MADE_BY, **dates})
    return buffer.getvalue()
