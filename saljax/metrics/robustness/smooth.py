"""Smooth parameter randomization: the sanity check on maps that noise has been averaged out of."""

import jax
import jax.numpy as jnp

from saljax.core import checks, chunks, keys
from saljax.core.types import Image, Method, ScoreFn, Target
from saljax.metrics import explaining, similarity
from saljax.metrics.robustness import parameters
from saljax.metrics.robustness.randomization import Order, Values, randomization


def smooth_randomization(
    method: Method,
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    num_samples: int = 50,
    noise: float = 0.1,
    order: Order = "bottom-up",
    values: Values = "absolute",
    init: ScoreFn | None = None,
    is_parameter: parameters.IsParameter = parameters.is_parameter,
    chunk_size: int = 4,
) -> similarity.Similarity:
    """`randomization` of maps that are means over noisy copies of the image.

    S = mean over i of S(I + n_i),    n_i ~ N(0, (noise (max I - min I))^2) in every value

    Maps of gradients are noisy themselves, and two noisy maps are unlike each other whatever the
    classifier is: they pass the test for the wrong reason.

    Args:
        method: see `randomization`, as all others but those of the noise.
        score_fn: what the method explains, a pytree.
        image: I, (*spatial, C); copies are not clipped.
        target: class index ().
        key: for the noise, the random layers, and a random method. All classifiers see the same
            copies.
        num_samples: copies.
        noise: standard deviation, a share of the image's range.
        order: "bottom-up", the paper's, "top-down" or "independent".
        values: of the means; "absolute" compares |S|, "signed" S.
        init: other weights that random layers take.
        is_parameter: which arrays count.
        chunk_size: maps at a time; memory only, never the result.

    Returns:
        A `Similarity` of (L,), one entry a step; lower is better.

    Raises:
        ValueError: see `randomization`, or a number out of its range.

    Source: Hedstrom et al., "Sanity Checks Revisited", 2024. 50 copies and a tenth of the range are
    Quantus's, which has a last copy without noise. The paper divides maps by their root mean square
    before it compares them: correlations do not change by it, and SSIM is of min-max normalized
    maps here, as in `randomization`.
    """
    checks.count(num_samples=num_samples, chunk_size=chunk_size)
    checks.not_negative(noise=noise)
    of_layers, of_noise = jax.random.split(keys.own(key))
    explain = explaining.with_key(method, of_layers)

    def smoothed(score_fn, image, target):
        clean = image.astype(jnp.float32)
        deviation = noise * (clean.max() - clean.min())

        def of_copy(number):
            own = jax.random.fold_in(of_noise, number)
            drawn = jax.random.normal(own, image.shape, jnp.float32)
            return explain(score_fn, (clean + deviation * drawn).astype(image.dtype), target)

        numbers = jnp.arange(num_samples, dtype=jnp.int32)
        return chunks.sum_over(jax.vmap(of_copy), numbers, chunk_size) / num_samples

    return randomization(
        smoothed, score_fn, image, target, key=of_layers, order=order, values=values, init=init,
        is_parameter=is_parameter,
    )  # fmt: skip
