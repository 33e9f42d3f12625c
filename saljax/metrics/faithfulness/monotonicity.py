"""Monotonicity, two metrics of that name."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, keys, ranking
from saljax.core.types import Baseline, Image, ScoreFn, Target
from saljax.metrics import inputs, similarity
from saljax.metrics.faithfulness import removal
from saljax.ops import perturb


class Monotonicity(NamedTuple):
    """Whether the score rises while pixels come.

    Attributes:
        always: () 1 where it never falls, else 0; higher is better.
        share: () in [0, 1], of the steps at which it does not fall; higher is better.
    """

    always: Float[Array, ""]
    share: Float[Array, ""]


def monotonicity(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "*spatial"],
    *,
    num_steps: int = 224,
    baseline: Baseline = perturb.mean_color,
    chunk_size: int = 32,
) -> Monotonicity:
    """Put pixels back on a baseline, the least relevant first: does the score never fall?

    f(x_k) >= f(x_(k-1)) for k = 1..n, x_k the image at its k N / n lowest pixels

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities here.
        image: (*spatial, C).
        target: class index ().
        saliency: (*spatial); of equal values the last in memory comes first.
        num_steps: n, at most one a pixel; counts are rounded down.
        baseline: where it starts: an image, anything that broadcasts to one, or a function of the
            image.
        chunk_size: images scored at a time; memory only, never the result.

    Returns:
        A `Monotonicity`; NaN for a map with a NaN or a class that does not exist.

    Raises:
        ValueError: shapes that do not go together, or a number that is not above 0.

    Source: Arya et al., "One Explanation Does Not Fit All", 2019, and AIX360 for `always`; with
    thousands of pixels it is all but never, so `share` is our own. Quantus replaces the baseline by
    itself and always answers yes.
    """
    checks.count(num_steps=num_steps, chunk_size=chunk_size)
    saliency = inputs.map_of(image, saliency, target)
    steps = min(num_steps, saliency.size)
    counts = [step * saliency.size // steps for step in range(steps + 1)]
    baseline_image = perturb.baseline_image(image, baseline)
    # The lowest k are those that are not among the N - k highest.
    (curve,) = ranking.score_curves(
        score_fn, target, saliency, baseline_image[None], image[None],
        saliency.size - jnp.asarray(counts, jnp.int32), chunk_size,
    )  # fmt: skip
    change = jnp.diff(curve)
    share = jnp.where(jnp.isnan(change), jnp.nan, (change >= 0).astype(jnp.float32)).mean()
    always = jnp.where(jnp.isnan(share), jnp.nan, (share == 1).astype(jnp.float32))
    return Monotonicity(always, share)


def monotonicity_correlation(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "*spatial"],
    *,
    key: keys.RandomKey,
    num_blocks: int = 16,
    num_samples: int = 10,
    chunk_size: int = 32,
) -> Float[Array, ""]:
    """Spearman's correlation of what blocks of pixels are given and what they matter.

    corr over blocks B of ( sum_{i in B} |S_i|, E[(f(I) - f(I with B random))^2] / f(I)^2 )

    Blocks are consecutive in order of |S|; random values are uniform in [0, 1].

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities here.
        image: I, (*spatial, C).
        target: class index ().
        saliency: S, (*spatial).
        key: for the random values; sample i of block b has its own, folded from its number.
        num_blocks: as equal as can be, at most one a pixel.
        num_samples: of each expectation.
        chunk_size: images scored at a time; memory only, never the result.

    Returns:
        () in [-1, 1]; higher is better. NaN where either side is constant, for a map with a NaN,
        and for a class that does not exist.

    Raises:
        ValueError: shapes that do not go together, or a number that is not above 0.

    Source: Nguyen and Martinez, "On quantitative aspects of model interpretability", 2020. Where
    |f(I)| < 1e-5 it is not divided, as in Quantus. The numbers of blocks and samples are those of
    LATEC at 224 pixels.
    """
    checks.count(num_blocks=num_blocks, num_samples=num_samples, chunk_size=chunk_size)
    saliency = inputs.map_of(image, saliency, target)
    size, blocks, key = jnp.abs(saliency), min(num_blocks, saliency.size), keys.own(key)
    labels = ranking.ranks(size) * blocks // size.size
    indices = jnp.arange(blocks * num_samples + 1, dtype=jnp.int32)

    def drawn(index):
        noise = jax.random.uniform(jax.random.fold_in(key, index), image.shape, jnp.float32)
        own = (labels == (index - 1) // num_samples) & (index > 0)  # of index 0 nothing
        return jnp.where(own[..., None], noise.astype(jnp.result_type(image)), image)

    answers = removal.score_all(score_fn, drawn, indices, target, chunk_size)
    clean = answers[0]
    squared = jnp.square(clean - answers[1:]).reshape(blocks, num_samples).mean(axis=1)
    squared = squared / jnp.where(jnp.abs(clean) < 1e-5, 1.0, jnp.square(clean))
    found = similarity.spearman(removal.sums(size, labels, blocks), squared)
    return removal.nan_where_broken(saliency, found)
