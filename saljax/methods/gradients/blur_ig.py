"""Blur integrated gradients: the gradient along the way from a blurred image."""

import math
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, chunks
from saljax.core.types import Image, Reduction, Saliency, ScoreFn, Target
from saljax.methods.gradients.gradient import gradients, reduced
from saljax.ops import images, maps

Padding = Literal["zero", "edge"]


def blur_ig(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    max_sigma: float = 50.0,
    num_steps: int = 100,
    padding: Padding = "zero",
    reduce: Reduction | None = maps.sum_abs,
    chunk_size: int = 16,
) -> Saliency:
    """Integrated gradients along blurs of the image, from the strongest to none.

    S = reduce(-M/n sum_i dL/ds(s_i) d score[target] / d image at L(s_i)),    s_i = (i - 1/2) M/n

    L(s) is the image blurred by a Gaussian of standard deviation s, M the largest. With
    `reduce=None` the values sum to score(image) - score(L(M)), up to the error of the midpoint
    rule.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        max_sigma: M, in pixels; the authors' for pictures of 224.
        num_steps: n.
        padding: what is blurred into the image from outside: "zero", black, as the authors have it,
            by which its border fades and gets values, or "edge", its outermost pixels.
        reduce: see `gradient`; the sum of absolute values as in `integrated_gradients`.
        chunk_size: blurs at a time; memory only, never the result.

    Returns:
        (*spatial) map >= 0, or what `reduce` makes; in units of the score.

    Raises:
        ValueError: `max_sigma`, `num_steps` or `chunk_size` is not above 0, no such `padding`, or
            several targets.

    Source: Xu, Venugopalan, Sundararajan, CVPR 2020, equation 5. Midpoints instead of left ends and
    the derivative by s instead of a difference of 0.01, as our choice.
    """
    checks.count(num_steps=num_steps, chunk_size=chunk_size)
    checks.positive(max_sigma=max_sigma)
    if padding not in get_args(Padding):
        raise ValueError(f"`padding` must be 'zero' or 'edge'; got {padding!r}")
    images.check(image, one=True)
    image = jnp.asarray(image)
    reach = math.ceil(4 * max_sigma)

    def blurred(sigma):
        out = image.astype(jnp.float32)
        for axis, length in enumerate(image.shape[:-1]):
            matrix = _matrix(length, sigma, reach, padding)
            out = jnp.tensordot(matrix, out, axes=(1, axis), precision="highest")
            out = jnp.moveaxis(out, 0, axis)
        return out

    def steps(sigmas):
        one = jnp.ones((), sigmas.dtype)
        blurs, slopes = jax.vmap(lambda s: jax.jvp(blurred, (s,), (one,)))(sigmas)
        return slopes * gradients(score_fn, blurs.astype(image.dtype), target).astype(jnp.float32)

    width = max_sigma / num_steps
    sigmas = (jnp.arange(num_steps, dtype=jnp.float32) + 0.5) * width
    signed = -width * chunks.sum_over(steps, sigmas, chunk_size)
    return reduced(signed, reduce)


def _matrix(length, sigma, reach, padding) -> Float[Array, "out in"]:
    """The blur of one axis; what lies outside adds to the outermost pixels, or not at all."""
    offsets = jnp.arange(-reach, reach + 1)
    kernel = jnp.exp(-(offsets.astype(jnp.float32) ** 2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    places = jnp.arange(length)[:, None] + offsets[None]
    inside = (places >= 0) & (places < length)
    weights = jnp.where(inside | (padding == "edge"), kernel[None], 0)
    rows = jnp.arange(length)[:, None]
    empty = jnp.zeros((length, length), jnp.float32)
    return empty.at[rows, jnp.clip(places, 0, length - 1)].add(weights)
