"""Expected gradients, which GradientSHAP estimates too."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from saljax.core import checks, chunks, keys
from saljax.core.types import Image, Reduction, Saliency, ScoreFn, Target
from saljax.methods.gradients.gradient import gradients, reduced
from saljax.ops import images, maps, perturb


def expected_gradients(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    baselines: Float[Array, "baselines ..."] | Float[np.ndarray, "baselines ..."] | float = 0.0,
    num_samples: int = 50,
    noise: float = 0.0,
    stratified: bool = True,
    reduce: Reduction | None = maps.sum_abs,
    chunk_size: int = 32,
) -> Saliency:
    """Integrated gradients, in the mean over baselines and the way from each at once.

    S = reduce(1/n sum_i (x_i - b_i) d score[target] / d image at b_i + t_i (x_i - b_i))

    b_i is one of the baselines, t_i in [0, 1], x_i the image, with Gaussian noise if asked. With
    `reduce=None` the values sum to score(image) - mean score(baseline), in the mean over draws.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        key: of the draws; sample i has its own.
        baselines: (B, *spatial, C), such as images of the training data, or one number for all
            pixels of a single one. Each is taken equally often, or some once more, in random order.
        num_samples: n.
        noise: standard deviation of the noise, in units of the image; the difference x_i - b_i has
            it too.
        stratified: t_i one from each of n equal parts of [0, 1], in random order, where the paper
            draws them freely: the same mean, less variance. Our choice.
        reduce: see `gradient`; the sum of absolute values as `integrated_gradients` has it, where
            SHAP sums with signs.
        chunk_size: samples at a time; memory only, never the result.

    Returns:
        (*spatial) map >= 0, or what `reduce` makes; in units of the score.

    Raises:
        ValueError: `num_samples` or `chunk_size` is not above 0, `noise` is negative, baselines
            are not of the image's shape, or several targets.

    Source: Erion, Janizek, Sturmfels, Lundberg, Lee, "Improving performance of deep learning models
    with axiomatic attribution priors and expected gradients", 2019, equation 3; GradientSHAP of
    Lundberg & Lee's library adds the noise.
    """
    checks.count(num_samples=num_samples, chunk_size=chunk_size)
    checks.not_negative(noise=noise)
    images.check(image, one=True)
    image = jnp.asarray(image)
    given = perturb.baseline_images(image, baselines)
    of_order, of_parts, of_samples = jax.random.split(keys.own(key), 3)
    order = jax.random.permutation(of_order, len(given))  # which are taken once more
    rows = order[jnp.arange(num_samples, dtype=jnp.int32) % len(given)]
    parts = jax.random.permutation(of_parts, num_samples)

    def on_the_way(sample):
        own, row, part = sample
        of_noise, of_place = jax.random.split(own)
        place = jax.random.uniform(of_place, (), jnp.float32)
        place = (part.astype(place.dtype) + place) / num_samples if stratified else place
        away = noise * jax.random.normal(of_noise, image.shape, jnp.float32)
        away = image + away.astype(image.dtype) - given[row]
        return given[row] + place.astype(image.dtype) * away, away

    def parts_of(some):
        points, away = jax.vmap(on_the_way)(some)
        return away * gradients(score_fn, points, target)

    samples = (jax.random.split(of_samples, num_samples), rows, parts)
    signed = chunks.sum_over(parts_of, samples, chunk_size) / num_samples
    return reduced(signed, reduce)
