"""Pixel flipping: the score while features go, the most relevant first or the least relevant."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, ranking
from saljax.core.types import Baseline, Image, ScoreFn, Target
from saljax.metrics import inputs
from saljax.metrics.faithfulness import removal
from saljax.ops import perturb


class PixelFlipping(NamedTuple):
    """Areas under the two curves, in units of the score.

    Attributes:
        morf: (), most relevant first; lower is better.
        lerf: (), least relevant first; higher is better.
        abpc: (), the area between them, lerf - morf; higher is better.
        aopc: (), mean of what the score has lost at the points of the first; higher is better.
    """

    morf: Float[Array, ""]
    lerf: Float[Array, ""]
    abpc: Float[Array, ""]
    aopc: Float[Array, ""]


class PixelFlippingCurves(NamedTuple):
    """The areas and what they are areas of.

    Attributes:
        morf: ().
        lerf: ().
        abpc: ().
        aopc: ().
        morf_curve: (n + 1,), from the image to the baseline.
        lerf_curve: (n + 1,), likewise.
    """

    morf: Float[Array, ""]
    lerf: Float[Array, ""]
    abpc: Float[Array, ""]
    aopc: Float[Array, ""]
    morf_curve: Float[Array, " points"]
    lerf_curve: Float[Array, " points"]


def pixel_flipping(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "*spatial"],
    *,
    tile: int = 1,
    num_steps: int = 100,
    baseline: Baseline = perturb.mean_color,
    chunk_size: int = 32,
    details: bool = False,
) -> Any:
    """Replace features in order of relevance, and in the reverse order.

    y_k = f(I without the first k R / n of R features), k = 0..n
    area = (sum_k y_k - y_0 / 2 - y_n / 2) / n,    AOPC = 1 / (n + 1) sum_k (y_0 - y_k)

    Features are pixels, or tiles, by the mean of the map: region perturbation. Of equal ones the
    first in memory goes first, in the reverse order last, so that the two mirror each other.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities here.
        image: I, (*spatial, C).
        target: class index ().
        saliency: (*spatial).
        tile: side of the tiles in pixels; 1 for pixels. 8 and 14 are usual at 224 pixels.
        num_steps: n, at most one a feature; counts are rounded down.
        baseline: what is put in their place: an image, anything that broadcasts to one, or a
            function of the image.
        chunk_size: images scored at a time; memory only, never the result.
        details: return the curves too.

    Returns:
        `PixelFlipping`, or `PixelFlippingCurves` where details are asked for. A constant score c
        has areas c and abpc and aopc 0. NaN for a map with a NaN or a class that does not exist.

    Raises:
        ValueError: shapes that do not go together, or a number that is not above 0.

    Source: Bach et al., PLoS ONE 2015 (flipping); Samek et al., IEEE TNNLS 2017, equation 12
    (regions, AOPC); Schulz et al., "Restricting the Flow", ICLR 2020 (tiles, the area between).
    Samek draws new colors at random; the mean color is ours, as is going on to the end. Quantus
    replaces single values of channels and leaves the clean image and the division by n out.
    """
    checks.count(tile=tile, num_steps=num_steps, chunk_size=chunk_size)
    saliency = inputs.map_of(image, saliency, target)
    labels, number = removal.tiles(saliency.shape, tile)
    first_to_last = ranking.ranks(removal.means(saliency, labels, number))
    steps = min(num_steps, number)
    counts = jnp.asarray([step * number // steps for step in range(steps + 1)], jnp.int32)

    def removed(item):
        last_first, count = item
        places = jnp.where(last_first, number - 1 - first_to_last, first_to_last)
        return (places < count).astype(jnp.float32)

    orders = jnp.arange(2, dtype=jnp.int32).repeat(steps + 1) == 1
    curves = removal.scores_without(
        score_fn, image, target, labels, removed, (orders, jnp.tile(counts, 2)),
        perturb.baseline_image(image, baseline), chunk_size,
    ).reshape(2, steps + 1)  # fmt: skip
    curves = removal.nan_where_broken(saliency, curves)
    areas = (curves.sum(axis=1) - curves[:, 0] / 2 - curves[:, -1] / 2) / steps
    aopc = (curves[0, 0] - curves[0]).mean()
    numbers = areas[0], areas[1], areas[1] - areas[0], aopc
    return PixelFlippingCurves(*numbers, *curves) if details else PixelFlipping(*numbers)
