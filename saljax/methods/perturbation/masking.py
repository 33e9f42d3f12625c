"""What occlusion, RISE and LIME share: an image scored under many masks, and sums of the masks.

Masks are made from small items (a corner, a key) where they are used and forgotten at once: only
the scores of all are kept. A sum over the masks makes them a second time, which costs far less
than a pass through a classifier.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, chunks, scores
from saljax.core.ask import ask
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.ops import images, perturb

Aggregate = Literal["mean", "sum"]
MaskOf = Callable[[Any], Float[Array, "*spatial"]]


def score_masked(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    mask_of: MaskOf,
    items: Any,
    unseen: Image,
    chunk_size: int | None,
) -> Float[Array, "masks *classes_asked"]:
    """Scores of the image under each mask.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).
        target: class index (), or (T,).
        mask_of: item -> (*spatial); 1 keeps the pixel.
        items: pytree of arrays with a leading axis of M, what the masks are made from.
        unseen: (*spatial, C), shown where a mask is 0.
        chunk_size: perturbed images scored at a time; memory only.

    Returns:
        (M,), or (M, T), float32; NaN for a class that does not exist.
    """
    checks.count(chunk_size=chunk_size)
    images.check(image, one=True)

    def masked(item):
        return perturb.blend(image, mask_of(item), unseen)

    def score(some):
        return scores.of_class(ask(score_fn, jax.vmap(masked)(some)), target)

    return chunks.map_over(score, items, chunk_size)


def sum_masks(
    weights: Float[Array, "masks *columns"], mask_of: MaskOf, items: Any, chunk_size: int | None
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Weighted and plain sums of masks, sum_i w_i m_i and sum_i m_i.

    Args:
        weights: w, (M, ...).
        mask_of: item -> m, (*spatial).
        items: pytree of arrays with a leading axis of M.
        chunk_size: masks at a time; memory only.

    Returns:
        Two arrays (..., *spatial); the second repeats the plain sum.
    """
    number = len(weights)
    size = chunks.length(number, chunk_size)
    columns = weights.reshape(number, -1)
    columns = jnp.concatenate([columns, jnp.ones_like(columns[:, :1])], axis=1)

    def add(sums, start):
        # The last chunk overlaps the one before it; what was there already weighs nothing.
        first = jnp.minimum(start, number - size)
        some, weight = jax.tree.map(
            lambda x: jax.lax.dynamic_slice_in_dim(x, first, size), (items, columns)
        )
        new = (first + jnp.arange(size) >= start)[:, None]
        # A product of matrices: on CPUs XLA sums over a leading axis many times slower.
        masks = jax.vmap(mask_of)(some)
        added = jnp.tensordot(jnp.where(new, weight, 0.0), masks, (0, 0), precision="highest")
        return sums + added, None

    spatial = jax.eval_shape(mask_of, jax.tree.map(lambda x: x[0], items)).shape
    zeros = jnp.zeros((columns.shape[1], *spatial), jnp.float32)
    sums, _ = jax.lax.scan(add, zeros, jnp.arange(0, number, size))
    shape = (*weights.shape[1:], *spatial)
    return sums[:-1].reshape(shape), jnp.broadcast_to(sums[-1], shape)


def covered(coverage: Float[Array, "..."]) -> Float[Array, "..."]:
    """A sum of masks as a divisor: 1 where no mask reaches, and the sum above it is 0."""
    return jnp.where(coverage > 0, coverage, 1.0)


def score_drops(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    hidden_at: MaskOf,
    places: Any,
    nowhere: Any,
    unseen: Image,
    chunk_size: int | None,
) -> Float[Array, "places *classes_asked"]:
    """What the score loses when the image is hidden at each place, f(I) - f(I without m_i).

    The whole image, hidden nowhere, is scored in the same list, so the classifier stands in the
    compiled program once.

    Args:
        score_fn: see `score_masked`.
        image: see `score_masked`.
        target: see `score_masked`.
        hidden_at: place -> m, (*spatial); 1 hides the pixel.
        places: pytree of arrays with a leading axis of P.
        nowhere: the same with a leading axis of 1, a place that hides nothing.
        unseen: (*spatial, C), what is shown instead.
        chunk_size: see `score_masked`.

    Returns:
        (P,), or (P, T).
    """
    together = jax.tree.map(lambda *x: jnp.concatenate(x), nowhere, places)
    answers = score_masked(
        score_fn, image, target, lambda place: 1 - hidden_at(place), together, unseen, chunk_size
    )
    return answers[:1] - answers[1:]


def drop_map(
    drops: Float[Array, "places *classes_asked"],
    hidden_at: MaskOf,
    places: Any,
    aggregate: Aggregate,
    chunk_size: int | None,
) -> Saliency:
    """Every pixel takes the mean or sum of the drops of the masks that hid it.

    Args:
        drops: (P,), or (P, T).
        hidden_at: see `score_drops`.
        places: see `score_drops`.
        aggregate: "mean" or "sum"; the mean is weighted by soft masks.
        chunk_size: see `score_masked`.

    Returns:
        (*spatial), or (T, *spatial).
    """
    total, coverage = sum_masks(drops, hidden_at, places, chunk_size)
    return total if aggregate == "sum" else total / covered(coverage)
