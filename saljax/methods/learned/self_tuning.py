"""Self-based tuning, DRE+: what a map's own ranking says of how much of it is needed."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from saljax.core import checks, ranking, scores
from saljax.core.types import Image, Images, Saliency, ScoreFn, Target
from saljax.methods.learned import backgrounds
from saljax.ops import images as image_ops
from saljax.ops import perturb

BINS = 8
"""Places of the ranking at which the classifier is asked in training; 32 when a map is tuned, as
in the metric. DRE's code has both."""


def self_tuned(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "*spatial"],
    *,
    num_steps: int = 32,
    sigma: float = 10.0,
    kernel: int = 55,
    normalize: bool = False,
    chunk_size: int = 32,
) -> Saliency:
    """Multiply a map by what is still missing once its higher pixels are seen.

    M'_k = M_k W_k,    W_k = Q_max - Q_k

    Q_k is the highest probability of the class that any of the k pixels ranked first, and fewer,
    bring back on the blurred image; asked at k = i N / m, i = 0..m, and linear in between. Once Q
    is at its maximum, no pixel counts any more.

    Args:
        score_fn: images (N, *spatial, C) -> logits (N, K).
        image: (*spatial, C) in [0, 1].
        target: class index ().
        saliency: M, (*spatial), from 0 up.
        num_steps: m.
        sigma: of the blur, in pixels.
        kernel: pixels of the blur's kernel, odd.
        normalize: divide W by Q_max - Q_min, as the released code does; the DRE paper does not. The
            order of pixels is the same.
        chunk_size: images scored at a time; memory only.

    Returns:
        (*spatial) in [0, max M].

    Source: the DRE paper, section 4.4.1 (DRE+, self-based), and its code for `normalize`.
    """
    checks.count(num_steps=num_steps, kernel=kernel, chunk_size=chunk_size)
    blurred = image_ops.blur(image, sigma, kernel // 2)
    counts = _counts(saliency.size, num_steps)
    curve = ranking.score_curves(
        scores.probabilities(score_fn), target, saliency, image[None], blurred[None], counts,
        chunk_size,
    )[0]  # fmt: skip
    weight = _weights(curve, counts, saliency, normalize)
    return (saliency * weight).astype(jnp.float32)


def remaining(
    score_fn: ScoreFn,
    images: Images,
    target: Int[Array, " batch"],
    masks: Float[Array, "batch *spatial"],
) -> Float[Array, "batch *spatial"]:
    """W of `self_tuned` for a batch in training, from `BINS` places; without derivative."""
    masks, blurred = jax.lax.stop_gradient((masks, backgrounds.blurred(images)))
    counts = _counts(masks[0].size, BINS)

    def shown(image, mask, blurred):
        ranks = ranking.ranks(mask)

        def first(count):
            return perturb.blend(image, (ranks < count).astype(image.dtype), blurred)

        return jax.vmap(first)(counts)

    together = jax.vmap(shown)(images, masks, blurred)
    logits = score_fn(together.reshape(-1, *images.shape[1:])).astype(jnp.float32)
    probabilities = jax.nn.softmax(logits).reshape(len(images), len(counts), -1)
    curves = jnp.take_along_axis(probabilities, target[:, None, None], axis=2)[..., 0]
    weights = jax.vmap(lambda c, m: _weights(c, counts, m, normalize=False))(curves, masks)
    return jax.lax.stop_gradient(weights)


def _counts(pixels, num_steps):
    return jnp.round(jnp.linspace(0, pixels, num_steps + 1)).astype(jnp.int32)


def _weights(curve, counts, saliency, normalize):
    best = jax.lax.cummax(curve)
    at = jnp.interp(
        ranking.ranks(saliency).astype(jnp.float32) + 1, counts.astype(jnp.float32), best
    )
    missing = best[-1] - at
    if not normalize:
        return missing
    return jnp.maximum(missing / jnp.maximum(best[-1] - curve.min(), 1e-15), 0.0)
