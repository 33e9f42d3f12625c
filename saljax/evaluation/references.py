"""What a map must beat to have said anything: maps that do not look at the classifier."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from saljax.core.types import Image, ScoreFn, Target


def center(score_fn: ScoreFn, image: Image, target: Target) -> Float[Array, "*spatial"]:
    """One at the center of the image, less the farther away, zero at its corners.

    Args:
        score_fn: not asked.
        image: (*spatial, C).
        target: not used.

    Returns:
        (*spatial) in [0, 1].

    Source: the baseline of the pointing game (Zhang et al., ECCV 2016), which points to the
    center; that the rest falls off with the distance is our choice.
    """
    middle = [(n - 1) / 2 for n in image.shape[:-1]]
    away = jnp.indices(image.shape[:-1]).astype(jnp.float32)
    squared = sum((axis - m) ** 2 for axis, m in zip(away, middle, strict=True))
    distance = jnp.sqrt(jnp.asarray(squared))
    return 1 - distance / jnp.maximum(distance.max(), 1.0)


def random(
    score_fn: ScoreFn, image: Image, target: Target, *, key: Key[Array, ""]
) -> Float[Array, "*spatial"]:
    """Every pixel a number of its own, uniform in [0, 1).

    Args:
        score_fn: not asked.
        image: (*spatial, C).
        target: not used.
        key: for chance.

    Returns:
        (*spatial).
    """
    return jax.random.uniform(key, image.shape[:-1], jnp.float32)


REFERENCES = {"center": center, "random": random}
