"""A map and the picture under it, as one picture."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float

from saljax.data.folders import resample

COLORS = "inferno"
"""Perceptually uniform, dark where nothing is, readable in gray and by the color-blind."""
SIGNED = "RdBu_r"
"""White where nothing is; red speaks for the class, blue against it."""
GLOW = 0.72
"""How far up its colors an overlay goes: what is above is too pale to be seen on white. Our
choice."""
DIVERGING = {
    "PiYG", "PRGn", "BrBG", "PuOr", "RdGy", "RdBu", "RdYlBu", "RdYlGn", "Spectral", "coolwarm",
    "bwr", "seismic", "berlin", "managua", "vanimo",
}  # fmt: skip
"""Colors around a middle, in matplotlib."""
NEGATIVE = 0.05
"""Share of the largest value that the lowest must be below zero for a map to be signed: less is
rounding, or a few pixels of it. Our choice."""


class Scale(NamedTuple):
    """How the values of a map become colors.

    Attributes:
        low: the value shown as the darkest or bluest.
        high: the value shown as the brightest or reddest.
        signed: around zero, which is in the middle.
        own: name of other colors, taken where they have a middle and the map is signed, or neither.
    """

    low: float
    high: float
    signed: bool
    own: str = ""

    def __call__(self, saliency: Float[np.ndarray, "*spatial"]) -> Float[np.ndarray, "*spatial"]:
        """Return values in [0, 1], or in [-1, 1] where the map is signed; zeros if constant."""
        if not self.high > self.low:
            return np.zeros(saliency.shape, np.float32)
        shown = np.clip((saliency - self.low) / (self.high - self.low), 0, 1)
        return (2 * shown - 1 if self.signed else shown).astype(np.float32)

    @property
    def colors(self) -> str:
        """Name of the color map."""
        has_middle = self.own.removesuffix("_r") in DIVERGING
        default = SIGNED if self.signed else COLORS
        return self.own if self.own and has_middle == self.signed else default


def scale_of(
    saliency: Float[np.ndarray, "*spatial"], percentile: float = 100.0, signed: bool | None = None
) -> Scale:
    """Choose how a raw map is shown.

    Args:
        saliency: (*spatial), any scale.
        percentile: in (50, 100]; the values at the ends are the percentiles 100 - `percentile` and
            `percentile`. 100 is min-max; 99 keeps a few extreme pixels of a gradient from hiding
            all others.
        signed: whether zero is to be the middle; None: if there are values below it.

    Returns:
        A scale from -m to m where the map has values on both sides of zero, or only below, m being
        the larger of the two ends; else one from end to end.
    """
    low, high = (float(v) for v in np.percentile(saliency, (100 - percentile, percentile)))
    largest = max(-low, high)
    if low < -NEGATIVE * largest if signed is None else signed:
        return Scale(-largest, largest, True)
    return Scale(low, high, False)


def stretch(
    saliency: Float[np.ndarray, "*spatial"], percentile: float = 100.0
) -> Float[np.ndarray, "*spatial"]:
    """Stretch a raw map for display, see `scale_of`: to [0, 1], or to [-1, 1] if it is signed."""
    return scale_of(saliency, percentile)(saliency)


def overlay(
    image: Float[np.ndarray, "height width channels"],
    saliency: Float[np.ndarray, "map_height map_width"],
    percentile: float = 100.0,
    signed: bool | None = None,
    colors: str = "",
) -> Float[np.ndarray, "rows columns 3"]:
    """Lay a map over its picture.

    Important pixels glow and the rest fades to a dark gray, without the palest colors, which would
    not be seen on snow; of a signed map, what speaks for the
    class is red, what speaks against it blue, and the rest a light gray.

    Args:
        image: (H, W, 3) or (H, W, 1), in [0, 1].
        saliency: raw map of the same part of the world.
        percentile: as in `scale_of`.
        signed: as in `scale_of`.
        colors: see `Scale.own`.

    Returns:
        (rows, columns, 3) in [0, 1], in the finer resolution of the two.
    """
    shape = (
        max(image.shape[0], saliency.shape[0]),
        max(image.shape[1], saliency.shape[1]),
    )
    scale = scale_of(saliency, percentile, signed)._replace(own=colors)
    heat = scale(resample(saliency, shape))[..., None]
    image = np.broadcast_to(resample(image, shape), (*shape, 3))
    gray = image.mean(axis=-1, keepdims=True)
    if scale.signed:
        ends = matplotlib.colormaps[scale.colors]((0.07, 0.93))[:, :3]
        faded, glow = 0.5 + 0.5 * gray, np.where(heat < 0, *ends)
        strength = 0.8 * abs(heat)
    else:
        faded = 0.5 * gray + heat * (image - 0.5 * gray)
        glow = matplotlib.colormaps[scale.colors](GLOW * heat[..., 0])[..., :3]
        strength = 0.6 * heat
    return np.clip((1 - strength) * faded + strength * glow, 0, 1).astype(np.float32)


def faint(
    image: Float[np.ndarray, "height width channels"],
) -> Float[np.ndarray, "height width 3"]:
    """A picture in the lightest grays, for what a map says nothing of."""
    gray = image.mean(axis=-1, keepdims=True)
    return np.broadcast_to(0.75 + 0.25 * gray, (*image.shape[:2], 3))


def middle_slices(
    volume: Float[np.ndarray, "depth height width *channels"],
) -> Float[np.ndarray, "rows columns *channels"]:
    """The three slices through the middle of a volume, side by side, on a common height.

    Args:
        volume: (D, H, W) map or (D, H, W, C) image.

    Returns:
        2-D map or picture: (H, W), (D, W) and (D, H) slices, padded with zeros below.
    """
    middle = [length // 2 for length in volume.shape[:3]]
    slices = [volume[middle[0]], volume[:, middle[1]], volume[:, :, middle[2]]]
    rows = max(part.shape[0] for part in slices)
    rest = [(0, 0)] * (volume.ndim - 2)
    return np.concatenate(
        [np.pad(part, [(0, rows - part.shape[0]), *rest]) for part in slices], axis=1
    )


def slice_names(shape: Sequence[int]) -> list[tuple[int, str]]:
    """What `middle_slices` shows of a volume.

    Args:
        shape: (D, H, W, ...), the axes z, y and x.

    Returns:
        Of each slice its first column, and which it is and what goes right and down in it.
    """
    depth, height, width = shape[:3]
    return [
        (0, f"z = {depth // 2}: x \u2192, y \u2193"),
        (width, f"y = {height // 2}: x \u2192, z \u2193"),
        (2 * width, f"x = {width // 2}: y \u2192, z \u2193"),
    ]
