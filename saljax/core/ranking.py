"""Images of which the most important pixels are shown, or hidden."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from saljax.core import chunks, scores
from saljax.core.ask import ask
from saljax.core.types import Images, ScoreFn, Target
from saljax.ops import perturb


def ranks(saliency: Float[Array, "*spatial"]) -> Int[Array, "*spatial"]:
    """0 for the most important pixel, 1 for the next; of equals the first in memory comes first.

    Args:
        saliency: (*spatial).

    Returns:
        (*spatial), a permutation of 0..N-1.
    """
    order = jnp.argsort(-saliency.ravel(), stable=True)
    places = jnp.arange(saliency.size, dtype=jnp.int32)
    return jnp.zeros(saliency.size, jnp.int32).at[order].set(places).reshape(saliency.shape)


def highest(values: Float[Array, " values"], count: int | Int[Array, ""]) -> Bool[Array, " values"]:
    """Whether each is among the `count` largest: `ranks(values) < count`, in a sixth of the time.

    Args:
        values: (n,), none of them NaN.
        count: 0..n.

    Returns:
        (n,), true for exactly `count`.
    """
    bits = sortable(values)
    edge = jnp.sort(bits)[bits.size - count]
    above, equal = bits > edge, bits == edge
    left = count - above.sum(dtype=jnp.int32)
    return above | (equal & (jnp.cumsum(equal, dtype=jnp.int32) <= left))


def sortable(values: Float[Array, " values"]) -> Int[Array, " values"]:
    """Whole numbers in the order of float32 values; NaN at the ends. CPUs sort them much faster."""
    plain = jnp.where(values == 0, 0.0, values).astype(jnp.float32)  # 0 and -0 are equal
    bits = jax.lax.bitcast_convert_type(plain, jnp.int32)
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def score_curves(
    score_fn: ScoreFn,
    target: Target,
    saliency: Float[Array, "*spatial"],
    tops: Images,
    rests: Images,
    counts: Int[Array, " steps"],
    chunk_size: int,
) -> Float[Array, "curves steps"]:
    """Scores of images put together by rank.

    Curve c at count k has tops[c] where the rank of the pixel is below k, and rests[c] elsewhere.
    All curves go through one trace of `score_fn`.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        target: class index ().
        saliency: what is ranked, (*spatial).
        tops: (curves, *spatial, C).
        rests: (curves, *spatial, C).
        counts: numbers of pixels.
        chunk_size: images scored at a time; memory only.

    Returns:
        (curves, steps); NaN for a map with a NaN.
    """
    tops, rests = jnp.asarray(tops), jnp.asarray(rests)
    ranking = ranks(saliency)
    curves, steps = tops.shape[0], counts.shape[0]

    def put_together(curve, count):
        mask = (ranking < count).astype(tops.dtype)
        return perturb.blend(tops[curve], mask, rests[curve])

    def score(items):
        return scores.of_class(ask(score_fn, jax.vmap(put_together)(*items)), target)

    items = jnp.repeat(jnp.arange(curves), steps), jnp.tile(counts, curves)
    found = chunks.map_over(score, items, chunk_size).reshape(curves, steps)
    return jnp.where(jnp.isnan(saliency).any(), jnp.nan, found)
