"""Do random subsets of the pixels change the score by what the map gives them?"""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, keys, ranking
from saljax.core.types import Baseline, Image, ScoreFn, Target
from saljax.metrics import inputs, similarity
from saljax.metrics.faithfulness import removal
from saljax.ops import perturb

Statistic = Literal["pearson", "spearman"]


def faithfulness_correlation(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "*spatial"],
    *,
    key: keys.RandomKey,
    num_samples: int = 100,
    share: float = 0.05,
    grid: int | None = None,
    statistic: Statistic = "pearson",
    baseline: Baseline = perturb.mean_color,
    chunk_size: int = 32,
) -> Float[Array, ""]:
    """Correlation over random subsets of what the map says of them and what the score does.

    corr over subsets A of ( sum_{i in A} S_i, f(I) - f(I without A) ),    |A| fixed

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities here.
        image: I, (*spatial, C).
        target: class index ().
        saliency: S, (*spatial).
        key: for the subsets; sample i has its own, folded from i.
        num_samples: subsets.
        share: of the features that are removed, rounded, at least one.
        grid: the features are cells of a regular grid, so many on an axis; None: pixels.
        statistic: "pearson" or "spearman".
        baseline: what is put in their place: an image, anything that broadcasts to one, or a
            function of the image.
        chunk_size: images scored at a time; memory only, never the result.

    Returns:
        () in [-1, 1]; higher is more faithful. NaN where either side is constant, for a map with a
        NaN, and for a class that does not exist.

    Raises:
        ValueError: shapes that do not go together, or a number out of its range.

    Source: Bhatt, Weller, Moura, "Evaluating and Aggregating Feature-based Model Explanations",
    IJCAI 2020, equation 3. 5 % of the pixels and the mean color are our choice; Quantus takes 224
    values of channels and black.
    """
    labels, number, saliency = _features(image, saliency, target, grid, share, num_samples)
    size = min(max(round(share * number), 1), number)

    def draw(own):
        order = jax.random.uniform(own, (number,), jnp.float32)
        return ranking.highest(order, size)

    return _correlation(
        score_fn, image, target, saliency, labels, number, draw, key, num_samples, statistic,
        baseline, chunk_size,
    )  # fmt: skip


def mu_fidelity(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "*spatial"],
    *,
    key: keys.RandomKey,
    num_samples: int = 200,
    share: float = 0.2,
    grid: int | None = 9,
    statistic: Statistic = "spearman",
    baseline: Baseline = perturb.mean_color,
    chunk_size: int = 32,
) -> Float[Array, ""]:
    """`faithfulness_correlation` of cells that go independently of each other, by their ranks.

    Args:
        score_fn: see `faithfulness_correlation`, as all others.
        image: (*spatial, C).
        target: class index ().
        saliency: (*spatial).
        key: for the subsets.
        num_samples: subsets.
        share: probability of each cell to be removed, in (0, 1).
        grid: cells on an axis; None: pixels.
        statistic: "pearson" or "spearman".
        baseline: what is put in their place.
        chunk_size: images scored at a time; memory only, never the result.

    Returns:
        () in [-1, 1]; higher is more faithful. NaN as of `faithfulness_correlation`.

    Raises:
        ValueError: see `faithfulness_correlation`.

    Source: MuFidelity of xplique (Fel et al., 2022), after Bhatt et al. 2020; there it is 0 where
    it is NaN here, and the baseline is 0 of what the classifier is given.
    """
    labels, number, saliency = _features(image, saliency, target, grid, share, num_samples)

    def draw(own):
        return jax.random.uniform(own, (number,), jnp.float32) < share

    return _correlation(
        score_fn, image, target, saliency, labels, number, draw, key, num_samples, statistic,
        baseline, chunk_size,
    )  # fmt: skip


def _features(image, saliency, target, grid, share, num_samples):
    checks.count(num_samples=num_samples, **({} if grid is None else {"grid": grid}))
    checks.positive(share=share)
    if not share < 1:
        raise ValueError(f"`share` must be less than 1; got {share}.")
    saliency = inputs.map_of(image, saliency, target)
    space = saliency.shape
    return *(removal.tiles(space, 1) if grid is None else removal.grid(space, grid)), saliency


def _correlation(
    score_fn, image, target, saliency, labels, number, draw, key, num_samples, statistic, baseline,
    chunk_size,
):  # fmt: skip
    checks.count(chunk_size=chunk_size)
    checks.one_of(get_args(Statistic), statistic=statistic)
    key, of_feature = keys.own(key), removal.sums(saliency, labels, number)

    def removed(index):
        """Of index 0 nothing: the clean image goes through the same trace."""
        return (index > 0) & draw(jax.random.fold_in(key, index))

    said, answers = removal.sums_and_scores_without(
        score_fn, image, target, labels, removed, jnp.arange(num_samples + 1),
        perturb.baseline_image(image, baseline), chunk_size, of_feature,
    )  # fmt: skip
    correlate = similarity.pearson if statistic == "pearson" else similarity.spearman
    return removal.nan_where_broken(saliency, correlate(said[1:], answers[0] - answers[1:]))
