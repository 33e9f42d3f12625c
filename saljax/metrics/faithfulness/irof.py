"""IROF, iterative removal of features: segments go in order of relevance."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, ranking
from saljax.core.segments import Labels
from saljax.core.types import Baseline, Image, ScoreFn, Target
from saljax.metrics import inputs
from saljax.metrics.faithfulness import removal
from saljax.ops import perturb


def irof(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "*spatial"],
    *,
    grid: int = 8,
    segments: Labels | None = None,
    num_segments: int | None = None,
    baseline: Baseline = perturb.mean_color,
    chunk_size: int = 32,
) -> Float[Array, ""]:
    """Area over the curve of the score while segments go, the most relevant first.

    1 - 1/L (sum_l y_l - y_0 / 2 - y_L / 2),    y_l = p(I without the first l) / p(I), l = 0..L

    The paper's segments follow the picture and differ from one to the next; a batch of them goes
    through `jax.vmap` with the images:

        segments = np.stack([saljax.data.superpixels.slic(image) for image in images])
        metric = functools.partial(saljax.metrics.irof, num_segments=int(segments.max()) + 1)
        many = jax.jit(jax.vmap(metric, in_axes=(None, 0, 0, 0)))
        values = many(score_fn, images, targets, saliencies, segments=segments)

    Args:
        score_fn: images (N, *spatial, C) -> probabilities (N, K).
        image: I, (*spatial, C).
        target: class index ().
        saliency: (*spatial); segments are ordered by its mean in them, equal ones by their labels.
        grid: cells a side of the regular grid of segments, where `segments` is not given.
        segments: (*spatial), labels 0..L-1; the paper's are superpixels
            (`saljax.data.superpixels.slic`).
        num_segments: L, only needed where `segments` is not known until the program runs; labels
            that do not occur change nothing.
        baseline: what is put in their place: an image, anything that broadcasts to one, or a
            function of the image; the paper's is the mean color.
        chunk_size: images scored at a time; memory only, never the result.

    Returns:
        () at most 1; higher is better, 0 for a constant score. NaN where p(I) is 0, for a map with
        a NaN, and for a class that does not exist.

    Raises:
        ValueError: shapes that do not go together, labels other than 0..L-1, or `num_segments` is
            missing or given without segments.

    Source: Rieger and Hansen, "IROF: a low resource evaluation metric for explanation methods",
    2020. The grid is our choice, as in `lime`. Quantus leaves l = 0 out and does not divide by L.
    """
    checks.count(grid=grid, chunk_size=chunk_size)
    saliency = inputs.map_of(image, saliency, target)
    if segments is None and num_segments is not None:
        raise ValueError("`num_segments` says how many `segments` there are; give them, or `grid`.")
    if segments is None:
        labels, number = removal.grid(saliency.shape, grid)
    else:
        labels, number = removal.segments(segments, num_segments, saliency.shape)
    occurs = jnp.zeros(number, bool).at[labels.ravel()].set(True)
    means = jnp.where(occurs, removal.means(saliency, labels, number), -jnp.inf)
    first_to_last, last = ranking.ranks(means), occurs.sum(dtype=jnp.int32)

    def removed(count):
        return (first_to_last < count).astype(jnp.float32)

    counts = jnp.arange(number + 1, dtype=jnp.int32)
    curve = removal.scores_without(
        score_fn, image, target, labels, removed, counts,
        perturb.baseline_image(image, baseline), chunk_size,
    )  # fmt: skip
    at_ends = (counts == 0) | (counts == last)
    weights = jnp.where(at_ends, 0.5, jnp.where(counts < last, 1.0, 0.0))
    share = curve / jnp.where(curve[0] == 0, jnp.nan, curve[0])
    area = (weights * share).sum() / last.astype(jnp.float32)
    return removal.nan_where_broken(saliency, 1 - area)
