"""`saljax.plot`: the command line's pictures, for notebooks and scripts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

try:
    from matplotlib.figure import Figure
except ImportError:
    raise ImportError("pictures need matplotlib: pip install 'saljax[cli]'") from None

from saljax.ops import images
from saljax.report import grids


def plot(
    image: Any,
    saliency: Any,
    *,
    title: str | Sequence[str] = "",
    captions: Sequence[str] = (),
    detail: str = "",
    outline: np.ndarray | None = None,
    boxes: Any = None,
    crop: Sequence[float] | None = None,
    colormap: str = "",
) -> Figure:
    """Draw an image and its maps, as `saljax explain` does.

        saliency = saljax.explain(saljax.grad_cam, score_fn, images, targets)
        saljax.plot(images[0], saliency[0], title="bull mastiff  52 %")
        saljax.plot(images[0], {"Grad-CAM": saliency[0], "RISE": rise[0]}).savefig("both.pdf")
        saljax.plot(photograph, saliency[0], crop=record["crop"])

    One map is shown by itself and over its picture, several each over the picture. Unsigned maps
    glow where they are high; maps with values below zero are red and blue around zero. Below each
    stand the values at the ends of its colors.

    Args:
        image: (*spatial, C) in [0, 1], or bytes, a signal, picture or volume; or a list of them, a
            row each.
        saliency: raw map (*spatial); several as (M, *spatial), as a list, or as a dictionary
            caption -> map. Of a list of images a list of these.
        title: large above each row, such as the class and its probability; one a row.
        captions: above each of several maps that have none.
        detail: small print of the rows.
        outline: (H, W) mask whose edge is drawn on the picture.
        boxes: (B, 4) x1, y1, x2, y2 in pixels, drawn on the picture.
        crop: left, upper, right and lower edge of the part of the picture that the maps are of, in
            its pixels, as records of `saljax explain` have it; None: all of it.
        colormap: of matplotlib; one around a middle, such as "coolwarm", is for signed maps, any
            other for the rest.

    Returns:
        A matplotlib figure: notebooks show it, `savefig` writes it as PNG, PDF or SVG.

    Raises:
        ValueError: an image is not in [0, 1], a map is not of its rank, or lists are of different
            lengths.
    """
    many = isinstance(image, list | tuple)
    shown, maps = (list(image), list(saliency)) if many else ([image], [saliency])
    titles = [title] * len(shown) if isinstance(title, str) else list(title)
    if not len(shown) == len(maps) == len(titles):
        raise ValueError(
            "there must be a map and a title for each image; got "
            f"{len(shown)} images, {len(maps)} maps and {len(titles)} titles."
        )
    place = None
    if crop is not None:
        left, top, right, bottom = map(float, crop)
        place = left, top, right, bottom
    rows = []
    for one, of_one, words in zip(shown, maps, titles, strict=True):
        picture = np.asarray(one)
        picture = picture / np.float32(255) if picture.dtype == np.uint8 else picture
        images.check(picture)
        named = _named(of_one, picture, captions)
        if len(named) == 1 and not next(iter(named)):
            row = grids.explanation(picture, named[""], words, detail, place=place)
        else:
            maps_of_one = list(named.values())
            row = grids.comparison(picture, maps_of_one, list(named), words, detail, place=place)
        row = grids.colored(row, colormap)
        row = row if outline is None else grids.outlined(row, outline)
        rows.append(
            row if boxes is None else grids.boxed(row, np.asarray(boxes), picture.shape[:2])
        )
    return grids.grid(rows)


def _named(saliency, image, captions):
    """Caption -> map."""
    rank = image.ndim - 1
    if isinstance(saliency, Mapping):
        found = {str(name): np.asarray(one) for name, one in saliency.items()}
    else:
        one = np.asarray(saliency)
        several = [one] if one.ndim == rank else list(one)
        names = list(captions) or [""] if len(several) == 1 else list(captions)
        names = names or [f"map {k}" for k in range(len(several))]
        if len(names) != len(several):
            raise ValueError(f"`captions` must be {len(several)}, one a map; got {len(names)}.")
        found = dict(zip(names, several, strict=True))
    for name, one in found.items():
        if one.ndim != rank:
            raise ValueError(
                f"a map of an image {image.shape} has {rank} axes; got {one.shape}"
                f"{f' for {name}' if name else ''}."
            )
    return found
