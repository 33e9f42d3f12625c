"""SmoothGrad, SquareGrad, VarGrad: what the gradient does over noisy copies of the image."""

from typing import Literal

import jax
import jax.numpy as jnp

from saljax.core import checks, chunks, keys
from saljax.core.types import Image, Reduction, Saliency, ScoreFn, Target
from saljax.methods.gradients.gradient import gradients, reduced
from saljax.ops import images, maps


def smoothgrad(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    num_samples: int = 50,
    noise: float = 0.15,
    statistic: Literal["mean", "square", "variance"] = "mean",
    reduce: Reduction | None = maps.max_abs,
    chunk_size: int = 32,
) -> Saliency:
    """Mean gradient over copies of the image with Gaussian noise.

    S = reduce(1/n sum_i d score[target] / d image at image + e_i),
    e_i ~ N(0, sigma^2),  sigma = noise * (max(image) - min(image))

        saljax.smoothgrad(score_fn, image, target, key=jax.random.key(0), noise=0.15)

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper.
        image: (*spatial, C), RGB in [0, 1]; noisy copies leave this range, as in the paper.
        target: class index ().
        key: one key; each copy has its own, so the chunk size never changes the map.
        num_samples: n, noisy copies; beyond 50 the paper sees little change.
        noise: standard deviation as a share of the image's range; the paper advises 0.1 to 0.2.
        statistic: "mean" of the gradients; "square", the mean of their squares (SquareGrad); or
            "variance", unbiased (VarGrad).
        reduce: see `gradient`; applied to the statistic.
        chunk_size: noisy copies at a time; memory only, never the result.

    Returns:
        (*spatial) map >= 0, or what `reduce` makes; score per unit of the image.

    Raises:
        ValueError: `num_samples` or `chunk_size` is not above 0, no such statistic, the variance
            of one sample, or several targets.

    Source: Smilkov, Thorat, Kim, Viegas, Wattenberg, arXiv 1706.03825 (2017), section 2. Gradients
    are averaged with their sign, as the paper writes; later code of its authors squares them.
    SquareGrad: Hooker, Erhan, Kindermans, Kim, NeurIPS 2019; VarGrad: Adebayo, Gilmer, Goodfellow,
    Kim, ICLR workshop 2018; both with the noise of SmoothGrad.
    """
    checks.count(num_samples=num_samples, chunk_size=chunk_size)
    images.check(image, one=True)
    checks.one_of(("mean", "square", "variance"), statistic=statistic)
    if statistic == "variance" and num_samples < 2:
        raise ValueError(f"the variance needs 2 samples or more; got {num_samples}.")
    sigma = noise * (image.max() - image.min())

    def noisy_gradients(keys_of):
        away = jax.vmap(lambda k: jax.random.normal(k, image.shape, jnp.float32))(keys_of)
        return gradients(
            score_fn, image[None] + sigma * away.astype(jnp.result_type(image)), target
        )

    of_samples = jax.random.split(keys.own(key), num_samples)
    if statistic == "square":
        found = chunks.sum_over(lambda k: noisy_gradients(k) ** 2, of_samples, chunk_size)
        return reduced(found / num_samples, reduce)
    mean = chunks.sum_over(noisy_gradients, of_samples, chunk_size) / num_samples
    if statistic == "mean":
        return reduced(mean, reduce)

    # A second time around: differences of squares of large gradients would be rounding.
    def squared(of_some):
        return (noisy_gradients(of_some) - mean[None]) ** 2

    return reduced(chunks.sum_over(squared, of_samples, chunk_size) / (num_samples - 1), reduce)
