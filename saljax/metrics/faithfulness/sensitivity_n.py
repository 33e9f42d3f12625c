"""Sensitivity-n: does any n of the features change the score by the sum of their values?"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from saljax.core import checks, keys, ranking
from saljax.core.types import Baseline, Image, ScoreFn, Target
from saljax.metrics import inputs, similarity
from saljax.metrics.faithfulness import removal
from saljax.ops import perturb


class SensitivityN(NamedTuple):
    """Correlations by the number of features removed.

    Attributes:
        mean: (), of the correlations that there are; higher is better.
        correlations: (M,), in [-1, 1]; NaN where either side is constant.
        sizes: (M,), n, numbers of features.
        sums: (M, samples), of the map over what was removed.
        drops: (M, samples), of the score.
    """

    mean: Float[Array, ""]
    correlations: Float[Array, " sizes"]
    sizes: Int[Array, " sizes"]
    sums: Float[Array, "sizes samples"]
    drops: Float[Array, "sizes samples"]


def sensitivity_n(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "*spatial"],
    *,
    key: keys.RandomKey,
    num_sizes: int = 16,
    largest: float = 0.8,
    num_samples: int = 100,
    tile: int = 8,
    baseline: Baseline = perturb.mean_color,
    chunk_size: int = 32,
    details: bool = False,
) -> Any:
    """Correlation, for several n, of the map over n random features with the drop of the score.

    corr over subsets A, |A| = n, of ( sum_{i in A} S_i, f(I) - f(I without A) )

    The scale of a map does not count. It does where the sums and drops of many images are pooled
    before they are correlated, as in the evaluation of Schulz et al. (2020): with the same key for
    all images `metrics.pearson` of the stacked details is that number.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits here.
        image: I, (*spatial, C).
        target: class index ().
        saliency: S, (*spatial), signed.
        key: for the subsets; subset i has its own, folded from i.
        num_sizes: M, values of n, spread evenly on a logarithmic scale from 1 to `largest`; they
            are rounded down, and equal ones count once.
        largest: share of the features, in (0, 1): all of them have no variance.
        num_samples: subsets for each n, drawn without replacement.
        tile: side of the tiles in pixels that are the features; 1 for pixels. Single pixels of a
            large image change next to nothing.
        baseline: what is put in their place: an image, anything that broadcasts to one, or a
            function of the image.
        chunk_size: images scored at a time; memory only, never the result.
        details: return a `SensitivityN`.

    Returns:
        () in [-1, 1], the mean over n, or a `SensitivityN`; NaN for a map with a NaN, a class that
        does not exist, or where no n has a correlation.

    Raises:
        ValueError: shapes that do not go together, a number out of its range, or a tile so large
            that there is but one.

    Source: Ancona et al., "Towards better understanding of gradient-based attribution methods",
    ICLR 2018; the sizes of Schulz et al., ICLR 2020, which draws with replacement. What Quantus
    calls so removes features in order and correlates over images.
    """
    checks.count(num_sizes=num_sizes, num_samples=num_samples, tile=tile, chunk_size=chunk_size)
    checks.positive(largest=largest)
    saliency = inputs.map_of(image, saliency, target)
    labels, number = removal.tiles(saliency.shape, tile)
    if not largest < 1:
        raise ValueError(f"`largest` must be less than 1; got {largest}.")
    if number < 2:
        raise ValueError(f"`tile` must leave several tiles; got {tile} for {saliency.shape}.")
    sizes = np.unique(np.geomspace(1, max(largest * number, 1), num_sizes).astype(int))
    key, of_feature = keys.own(key), removal.sums(saliency, labels, number)

    def removed(item):
        index, size = item
        order = jax.random.uniform(jax.random.fold_in(key, index), (number,), jnp.float32)
        return ranking.highest(order, size)

    of_each = jnp.asarray(np.append(np.repeat(sizes, num_samples), 0), jnp.int32)
    items = jnp.arange(of_each.size, dtype=jnp.int32), of_each  # the last one is the clean image
    sums, answers = removal.sums_and_scores_without(
        score_fn, image, target, labels, removed, items,
        perturb.baseline_image(image, baseline), chunk_size, of_feature,
    )  # fmt: skip
    sums, drops = (x[:-1].reshape(-1, num_samples) for x in (sums, answers[-1] - answers))
    found = removal.nan_where_broken(saliency, jax.vmap(similarity.pearson)(sums, drops))
    mean = jnp.nanmean(found)
    whole = SensitivityN(mean, found, jnp.asarray(sizes, jnp.int32), sums, drops)
    return whole if details else mean
