"""HSIC: which cells of the image the score depends on, in any way."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.methods.perturbation.masking import score_masked
from saljax.methods.perturbation.sobol import enlarged
from saljax.ops import draws, images, perturb


def hsic(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    grid: int = 8,
    num_masks: int = 500,
    bandwidth: Literal["distances", "outputs"] = "distances",
    baseline: Baseline = 0.0,
    chunk_size: int | None = None,
) -> Saliency:
    """Hilbert-Schmidt independence criterion between each cell of a mask and the score.

    S_i = 1/n tr(K_i H L H) = 2/n m_i^T H L H m_i,    H = 1 - 11^T / n,
    K_i = 1 - (m_i - m_i')^2,    L = exp(-(y - y')^2 / (2 w^2))

    m_i in {0, 1}^n says in which of n masks cell i is shown, and y are the scores. The second form
    holds for binary masks: all cells from one product of matrices. A cell that lowers the score
    counts like one that raises it.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities.
        image: (*spatial, C), RGB in [0, 1].
        target: class index (), or (T,) for several classes from the same passes.
        grid: cells a side, as many on every axis.
        num_masks: n, rounded points of a Sobol sequence.
        bandwidth: w, the median of |y - y'| over pairs, or of the "outputs" y themselves, as the
            authors have it: next to nothing where the class is unlikely.
        baseline: what is shown where a mask is 0.
        chunk_size: perturbed images at a time; memory only, never the result.
            None: see `saljax.core.chunks.fitting`.

    Returns:
        (*spatial) map >= 0, or (T, *spatial); 0 everywhere where w is 0.

    Raises:
        ValueError: a count is not above 0, no such bandwidth, or too large a grid.

    Source: Novello, Fel, Vigouroux, "Making Sense of Dependence: Efficient Black-box Explanations
    Using Dependence Measure", NeurIPS 2022. The map is enlarged linearly.
    """
    checks.count(grid=grid, num_masks=num_masks, chunk_size=chunk_size)
    checks.one_of(("distances", "outputs"), bandwidth=bandwidth)
    space = images.space(image)
    shown = jnp.asarray((draws.sobol(grid ** len(space), num_masks) >= 0.5).astype("float32"))

    def mask_of(cells):
        return images.resize(cells.reshape((grid,) * len(space)), space)

    unseen = perturb.baseline_image(image, baseline)
    answers = score_masked(score_fn, image, target, mask_of, shown, unseen, chunk_size)
    columns = answers.reshape(num_masks, -1).T
    index = jnp.stack([dependence(shown, y, bandwidth) for y in columns], axis=-1)
    return enlarged(index.reshape(-1, *answers.shape[1:]), grid, space)


def dependence(
    shown: Float[Array, "masks cells"], y: Float[Array, " masks"], bandwidth: str
) -> Float[Array, " cells"]:
    """HSIC of each column of `shown` with y, see `hsic`."""
    away = abs(y[:, None] - y[None])
    upper = jnp.triu_indices(len(y), 1)
    width = jnp.median(away[upper] if bandwidth == "distances" else y)
    likeness = jnp.exp(-jnp.square(away / jnp.where(width == 0, 1, width)) / 2)
    means = likeness.mean(axis=0)  # of rows as of columns
    centered = likeness - means[None] - means[:, None] + means.mean()
    product = jnp.matmul(centered, shown, precision="highest")
    index = jnp.maximum(2 / len(y) * (shown * product).sum(axis=0), 0 * y[0])
    return jnp.where(width == 0, 0 * y[0], index)
