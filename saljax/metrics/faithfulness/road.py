"""ROAD, remove and debias: pixels are filled in from their neighbors, so that no hole is seen."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, chunks, keys, ranking, scores
from saljax.core.ask import ask
from saljax.core.types import Image, ScoreFn, Target
from saljax.metrics import inputs
from saljax.metrics.faithfulness import imputation, removal
from saljax.ops import maps


class Road(NamedTuple):
    """What the classifier says of images without shares of their pixels.

    Attributes:
        combined: (), mean over the shares of (lerf - morf) / 2; higher is better.
        morf: (P,), score of the class where the most relevant share is filled in.
        lerf: (P,), where the least relevant share is.
        morf_correct: (P,), 1 where the class still is the first choice, else 0; the mean over
            images is the paper's accuracy. Lower is better.
        lerf_correct: (P,), likewise; higher is better.
    """

    combined: Float[Array, ""]
    morf: Float[Array, " shares"]
    lerf: Float[Array, " shares"]
    morf_correct: Float[Array, " shares"]
    lerf_correct: Float[Array, " shares"]


def road(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "*spatial"],
    *,
    key: keys.RandomKey,
    shares: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    noise: float = 0.01,
    tie_break: float = 1e-4,
    tolerance: float = 1e-5,
    chunk_size: int = 32,
) -> Road:
    """Scores after noisy linear imputation of the most, and of the least, relevant pixels.

    Each missing pixel is the weighted mean of its neighbors, missing ones among them (see
    `imputation.impute`), plus noise: where pixels were removed can hardly be seen, so the score
    tells of what they showed and not of the shape of the hole.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities here.
        image: (*spatial, C), in [0, 1].
        target: class index ().
        saliency: (*spatial).
        key: for noise and ties; the same key for all images draws the same for all.
        shares: p, of the pixels, in [0, 1); int(p N) of N are removed.
        noise: standard deviation, in units of the image, of what is added to filled pixels.
        tie_break: pixels are ranked by the min-max normalized map + tie_break N(0, 1), so that a
            constant map ranks them at random.
        tolerance: to which the equations are solved, relative.
        chunk_size: images filled in and scored at a time; memory only, never the result.

    Returns:
        A `Road`; NaN for a map with a NaN or a class that does not exist.

    Raises:
        ValueError: shapes that do not go together, or a share that is not in [0, 1): without any
            pixel there is nothing to fill in from.

    Source: Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods",
    ICML 2022, and its official code, which counts the least relevant by what is kept: its p is
    1 - p here. `combined` after pytorch-grad-cam. Solved by conjugate gradients, not by a sparse
    factorization.
    """
    checks.count(chunk_size=chunk_size)
    checks.several(shares=shares)
    checks.not_negative(noise=noise, tie_break=tie_break)
    checks.positive(tolerance=tolerance)
    if any(not 0 <= share < 1 for share in shares):
        raise ValueError(f"`shares` must be in [0, 1); got {shares!r}.")
    saliency = inputs.map_of(image, saliency, target)
    of_ties, of_noise = jax.random.split(keys.own(key))
    drawn = jax.random.normal(of_ties, saliency.shape, jnp.float32)
    places = ranking.ranks(maps.normalize(saliency) + tie_break * drawn)
    counts = jnp.asarray([int(share * saliency.size) for share in shares], jnp.int32)

    def filled(item):
        least_first, count, number = item
        place = jnp.where(least_first, saliency.size - 1 - places, places)
        own = jax.random.fold_in(of_noise, number)
        return imputation.impute(image, place < count, own, noise=noise, tolerance=tolerance)

    def score(items):
        all_scores = ask(score_fn, jax.vmap(filled)(items))
        own = scores.of_class(all_scores, target)
        first = jnp.argmax(all_scores, axis=1).astype(jnp.int32) == jnp.asarray(target, jnp.int32)
        return own, jnp.where(jnp.isnan(own), jnp.nan, first.astype(jnp.float32))

    numbers = jnp.arange(2 * len(shares), dtype=jnp.int32)
    items = numbers >= len(shares), jnp.tile(counts, 2), numbers
    found = chunks.map_over(score, items, chunk_size)
    found = [x.reshape(2, -1) for x in removal.nan_where_broken(saliency, found)]
    (morf, lerf), (morf_correct, lerf_correct) = found
    return Road((lerf - morf).mean() / 2, morf, lerf, morf_correct, lerf_correct)
