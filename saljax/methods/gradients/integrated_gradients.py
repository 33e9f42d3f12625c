"""Integrated gradients: the gradient along the way from a baseline to the image."""

import jax.numpy as jnp

from saljax.core import checks, chunks
from saljax.core.types import Baseline, Image, Reduction, Saliency, ScoreFn, Target
from saljax.methods.gradients.gradient import gradients, reduced
from saljax.ops import maps, perturb


def integrated_gradients(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    num_steps: int = 200,
    baseline: Baseline = 0.0,
    reduce: Reduction | None = maps.sum_abs,
    chunk_size: int = 32,
) -> Saliency:
    """Gradients on the straight way from the baseline to the image, times their difference.

    S = reduce((image - baseline) * 1/n sum_i d score[target] / d image at
        baseline + (i - 1/2)/n (image - baseline))

    With `reduce=None` the values sum to score(image) - score(baseline), up to the error of the
    midpoint rule.

        saljax.integrated_gradients(score_fn, image, target, num_steps=50)

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K); the paper uses probabilities, others
            logits.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        num_steps: n, points on the way; the paper finds 20 to 300 enough.
        baseline: where the way starts, in [0, 1]: 0 is black, as in the paper; or a color, an
            image, a function of the image.
        reduce: see `gradient`; the sum of absolute values is our choice.
        chunk_size: points on the way at a time; memory only, never the result.

    Returns:
        (*spatial) map >= 0, or what `reduce` makes; in units of the score.

    Raises:
        ValueError: `num_steps` or `chunk_size` is not above 0, or several targets.

    Source: Sundararajan, Taly, Yan, ICML 2017, equations 1 and 3; midpoints instead of right ends.
    Where a classifier's input has been normalized, others (the DRE paper among them) start from its
    zero, the mean color of the training images: `baseline=jnp.asarray([0.485, 0.456, 0.406])` for
    ImageNet.
    """
    checks.count(num_steps=num_steps, chunk_size=chunk_size)
    start = perturb.baseline_image(image, baseline)
    fractions = (jnp.arange(num_steps, dtype=jnp.result_type(image)) + 0.5) / num_steps

    def on_the_way(fraction):
        fraction = fraction.reshape(-1, *(1,) * image.ndim)
        return gradients(score_fn, start[None] + fraction * (image - start)[None], target)

    mean = chunks.sum_over(on_the_way, fractions, chunk_size) / num_steps
    signed = (image - start) * mean
    return reduced(signed, reduce)
