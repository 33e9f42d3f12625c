"""A map and the picture under it, as one picture."""

import matplotlib
import numpy as np
from jaxtyping import Float

from saljax.data.folders import resample

COLORS = "inferno"
"""Perceptually uniform, dark where nothing is, readable in gray and by the color-blind."""


def stretch(
    saliency: Float[np.ndarray, "*spatial"], percentile: float = 100.0
) -> Float[np.ndarray, "*spatial"]:
    """Stretch a raw map to [0, 1] for display.

    Args:
        saliency: (*spatial), any scale.
        percentile: in (50, 100]; the values shown as 0 and 1 are the percentiles
            100 - `percentile` and `percentile`. 100 is min-max; 99 keeps a few extreme pixels of
            a gradient from hiding all others.

    Returns:
        (*spatial) float32 in [0, 1]; zeros for a constant map.
    """
    low, high = np.percentile(saliency, (100 - percentile, percentile))
    if not high > low:
        return np.zeros(saliency.shape, np.float32)
    return np.clip((saliency - low) / (high - low), 0, 1).astype(np.float32)


def overlay(
    image: Float[np.ndarray, "height width channels"],
    saliency: Float[np.ndarray, "map_height map_width"],
    percentile: float = 100.0,
) -> Float[np.ndarray, "rows columns 3"]:
    """Lay a map over its picture: important pixels glow, the rest fades to a dark gray.

    Args:
        image: (H, W, 3) or (H, W, 1), in [0, 1].
        saliency: raw map of the same part of the world.
        percentile: as in `stretch`.

    Returns:
        (rows, columns, 3) in [0, 1], in the finer resolution of the two.
    """
    shape = (
        max(image.shape[0], saliency.shape[0]),
        max(image.shape[1], saliency.shape[1]),
    )
    heat = stretch(resample(saliency, shape), percentile)[..., None]
    image = np.broadcast_to(resample(image, shape), (*shape, 3))
    gray = image.mean(axis=-1, keepdims=True)
    faded = 0.5 * gray + heat * (image - 0.5 * gray)
    glow = matplotlib.colormaps[COLORS](heat[..., 0])[..., :3]
    strength = 0.4 * heat
    return np.clip((1 - strength) * faded + strength * glow, 0, 1).astype(np.float32)


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
