"""RISE: randomized input sampling for explanation."""

from numbers import Real
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, keys
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.methods.perturbation.masking import covered, score_masked, sum_masks
from saljax.ops import images, masks, perturb


class RiseDetails(NamedTuple):
    """A map of RISE and how sure it is.

    Attributes:
        saliency: (*spatial), or (T, *spatial).
        standard_error: of the same shape: how much the map would differ with another key, as a
            standard deviation, estimated from the masks of this one. NaN for a single mask.
    """

    saliency: Saliency
    standard_error: Float[Array, "..."]


def rise(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    num_masks: int = 8000,
    grid: int = 7,
    probability: float = 0.5,
    divide_by: Literal["expectation", "coverage"] = "expectation",
    baseline: Baseline | None = None,
    chunk_size: int | None = None,
    details: bool = False,
) -> Saliency | RiseDetails:
    """Mean of random masks, each weighted by what the classifier says of the masked image.

    S(x) = 1/(p N) sum_i f(I * m_i) m_i(x),    E[m_i(x)] = p

    m_i is a random grid of cells kept with probability p, enlarged linearly and shifted at random
    (`saljax.ops.masks.random_grid`). The classifier's mean over all masks is part of S everywhere,
    so a map is read by its differences; they stand out of the sampling noise where they are many
    standard errors (`details`), which fall as 1/sqrt(N).

        saljax.rise(score_fn, image, target, key=jax.random.key(0), num_masks=500)

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities in the paper.
        image: I, (*spatial, C), RGB in [0, 1].
        target: class index (), or (T,) for several classes from the same passes.
        key: one key; mask i has its own, folded from i, so the chunk size never changes the map
            and more masks begin with the same ones.
        num_masks: N; the paper takes 8000 for ResNet-50 and 4000 for VGG-16.
        grid: h, cells a side; evidence smaller than a cell is blurred to its size.
        probability: p, of a cell to be kept.
        divide_by: "expectation" is p N; "coverage" is sum_i m_i(x), a weighted mean of the scores.
        baseline: what masked pixels show, in [0, 1]: a number, a color, an image or a function of
            the image; None is the image's mean color.
        chunk_size: masked images scored at a time; memory only, never the result.
            None: see `saljax.core.chunks.fitting`.
        details: return `RiseDetails`, with the standard error of every pixel.

    Returns:
        (*spatial) map, or (T, *spatial), in the scale of the scores; larger is more important.

    Raises:
        ValueError: `num_masks`, `grid`, `probability` or `chunk_size` is not above 0,
            `probability` is above 1, or `divide_by` is unknown.

    Source: Petsiuk, Das, Saenko, BMVC 2018, equation 6, and github.com/eclique/RISE for the masks.
    The equation multiplies the image; the authors' code does so after subtracting the mean of the
    classifier's training images, so that masked pixels show this mean:
    `baseline=jnp.asarray([0.485, 0.456, 0.406])` for ImageNet. The image's own mean, the default,
    needs no knowledge of the classifier; `baseline=0.0` is the equation read in [0, 1]. "coverage"
    and the standard error (of a mean; for "coverage" of a ratio, by linearization) are our choice.
    """
    checks.count(num_masks=num_masks, grid=grid, chunk_size=chunk_size)
    checks.positive(probability=probability)
    if isinstance(probability, Real) and float(probability) > 1:
        raise ValueError(f"`probability` must be at most 1; got {probability}.")
    checks.one_of(("expectation", "coverage"), divide_by=divide_by)
    key = keys.own(key)
    spatial, by_coverage = images.space(image), divide_by == "coverage"
    indices = jnp.arange(num_masks)

    def mask_of(index):
        return masks.random_grid(jax.random.fold_in(key, index), spatial, grid, probability)

    unseen = perturb.baseline_image(image, perturb.mean_color if baseline is None else baseline)
    answers = score_masked(score_fn, image, target, mask_of, indices, unseen, chunk_size)
    # For a ratio the scores are taken from their mean, which a square would let swallow them.
    mean = answers.mean(axis=0) if by_coverage else jnp.zeros_like(answers[0])
    answers = answers - mean[None]
    total, coverage = sum_masks(answers, mask_of, indices, chunk_size)
    divisor = covered(coverage) if by_coverage else jnp.float32(probability * num_masks)
    away = total / divisor
    saliency = away + mean.reshape(*mean.shape, *(1,) * len(spatial))
    if not details:
        return saliency

    (square, linear), (plain, _) = sum_masks(
        jnp.stack([jnp.square(answers), answers], axis=1),
        lambda index: jnp.square(mask_of(index)),
        indices,
        chunk_size,
    )
    # Squares of the residuals, (f_i - S) m_i of a ratio, f_i m_i - mean(f m) of a mean.
    ratio = square - 2 * away * linear + jnp.square(away) * plain
    squares = ratio if by_coverage else square - jnp.square(total) / num_masks
    unbiased = jnp.float32(num_masks) / (num_masks - 1)
    error = jnp.sqrt(unbiased * jnp.maximum(squares, 0.0)) / divisor
    if by_coverage:  # a pixel that no mask shows has the mean score, of unknown error
        error = jnp.where(coverage > 0, error, jnp.nan)
    return RiseDetails(saliency, error)
