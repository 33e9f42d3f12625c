"""Images without some of their features, and what the classifier says of them.

A feature is a pixel, a tile or a segment: a label 0..R-1 a pixel.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from saljax.core import chunks, scores
from saljax.core.ask import ask
from saljax.core.segments import Labels, numbered
from saljax.core.types import Image, ScoreFn, Target
from saljax.ops import maps, perturb


def tiles(spatial: tuple[int, ...], side: int) -> tuple[Int[Array, "*spatial"], int]:
    """Labels of square tiles, and how many there are; those at the end may be smaller.

    Args:
        spatial: shape.
        side: of a tile in pixels.
    """
    return _cells(spatial, [np.arange(n) // side for n in spatial])


def grid(spatial: tuple[int, ...], cells: int) -> tuple[Int[Array, "*spatial"], int]:
    """Labels of a regular grid, and how many there are; on a short axis one a pixel.

    Args:
        spatial: shape.
        cells: on an axis.
    """
    return _cells(spatial, [np.arange(n) * min(cells, n) // n for n in spatial])


def _cells(spatial, along):
    counts = [int(axis[-1]) + 1 for axis in along]
    labels = np.ravel_multi_index(np.meshgrid(*along, indexing="ij"), counts)
    return jnp.asarray(labels.reshape(spatial), jnp.int32), int(np.prod(counts))


def segments(
    labels: Labels, number: int | None, spatial: tuple[int, ...]
) -> tuple[Int[Array, "*spatial"], int]:
    """Labels that were given, and how many there are.

    Args:
        labels: (*spatial), 0..R-1.
        number: R, or None where the labels are known.
        spatial: shape.

    Raises:
        ValueError: they are no labels of the image's shape, or R is not known.
    """
    if labels.shape != spatial or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            f"`segments` must be whole numbers of the image's spatial shape, {spatial}; got "
            f"{labels.dtype} {labels.shape}."
        )
    return numbered(labels, number)


def sums(
    saliency: Float[Array, "*spatial"], labels: Int[Array, "*spatial"], number: int
) -> Float[Array, " features"]:
    """Sum of a map over each feature."""
    zeros = jnp.zeros(number, jnp.float32)
    return zeros.at[labels.ravel()].add(saliency.ravel().astype(jnp.float32))


def means(
    saliency: Float[Array, "*spatial"], labels: Int[Array, "*spatial"], number: int
) -> Float[Array, " features"]:
    """Mean of a map over each feature; NaN for a label that does not occur."""
    return maps.region_means(saliency, labels + 1, number)


def scores_without(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    labels: Int[Array, "*spatial"],
    removed: Callable[[Any], Float[Array, " features"]],
    items: Any,
    unseen: Image,
    chunk_size: int,
) -> Float[Array, " items"]:
    """Scores of images without some of their features.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).
        target: class index ().
        labels: (*spatial), the feature of each pixel.
        removed: item -> (R,), 1 for features that are not shown, 0 for those that are.
        items: pytree of arrays with a leading axis.
        unseen: (*spatial, C), shown in their place.
        chunk_size: images scored at a time; memory only.

    Returns:
        (items,), float32.
    """

    def without(item):
        return perturb.blend(image, 1 - removed(item)[labels], unseen)

    return score_all(score_fn, without, items, target, chunk_size)


def sums_and_scores_without(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    labels: Int[Array, "*spatial"],
    removed: Callable[[Any], Bool[Array, " features"]],
    items: Any,
    unseen: Image,
    chunk_size: int,
    of_feature: Float[Array, " features"],
) -> tuple[Float[Array, " items"], Float[Array, " items"]]:
    """`scores_without`, and what a map says of the features that are removed, drawn once for both.

    Args:
        score_fn: see `scores_without`, as all others.
        image: (*spatial, C).
        target: class index ().
        labels: (*spatial).
        removed: item -> (R,).
        items: pytree of arrays with a leading axis.
        unseen: (*spatial, C).
        chunk_size: images scored at a time; memory only.
        of_feature: (R,).

    Returns:
        (items,) sums of `of_feature` over the removed, and (items,) scores.
    """

    def both(some):
        gone = jax.vmap(removed)(some).astype(jnp.float32)
        without = jax.vmap(lambda one: perturb.blend(image, 1 - one[labels], unseen))(gone)
        sums = (gone * of_feature[None]).sum(axis=1)
        return sums, scores.of_class(ask(score_fn, without), target)

    return chunks.map_over(both, items, chunk_size)


def score_all(
    score_fn: ScoreFn, image_of: Callable[[Any], Image], items: Any, target: Target, chunk_size: int
) -> Float[Array, " items"]:
    """Scores of images, made from small items where they are used and forgotten at once.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image_of: item -> (*spatial, C).
        items: pytree of arrays with a leading axis.
        target: class index ().
        chunk_size: images scored at a time; memory only.

    Returns:
        (items,), float32; NaN for a class that does not exist.
    """

    def score(some):
        return scores.of_class(ask(score_fn, jax.vmap(image_of)(some)), target)

    return chunks.map_over(score, items, chunk_size)


def nan_where_broken(saliency: Float[Array, "..."], value: Any) -> Any:
    """The value, all of it NaN for a map with a NaN."""
    broken = jnp.isnan(saliency).any()
    return jax.tree.map(lambda x: jnp.where(broken, jnp.nan, x), value)
