"""Mean and deviation of a layer over many images."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from saljax.core import taps
from saljax.core.layers import place
from saljax.core.names import Name
from saljax.core.scores import as_pytree
from saljax.core.types import ScoreFn

RARE = 0.01
"""Units that are not 0 in so small a share of the images, or smaller, are not active."""


class Statistics(NamedTuple):
    """Of each unit of a layer, over images.

    Attributes:
        mean: in the shape of the activation of one image.
        std: standard deviation, likewise.
        active: whether it is not 0 in more than one image of a hundred.
    """

    mean: Float[Array, "..."]
    std: Float[Array, "..."]
    active: Bool[Array, "..."]


def activation_statistics(
    score_fn: ScoreFn, batches: Iterable[Any], layer: Name | None = None
) -> Statistics:
    """Mean and deviation of what a layer gives, as `saljax.information_bottleneck` needs them.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        batches: of images (N, *spatial, C); one pass of each. Its authors take 10 000 images.
        layer: any name of it, see `saljax.layers`; None: as in the method.

    Returns:
        `Statistics`.

    Raises:
        ValueError: there are no images, or no such layer.
    """
    name, seen, score_fn = "", None, as_pytree(score_fn)

    @jax.jit
    def of_batch(score_fn, images):
        _, (found,) = taps.activations(score_fn, images, [name])
        found = found.astype(jnp.float32)
        mean, active = found.mean(axis=0), (found != 0).astype(jnp.float32)
        return mean, jnp.square(found - mean[None]).sum(axis=0), active.sum(axis=0)

    for images in batches:
        images, number = jnp.asarray(images), len(images)
        if number == 0:
            continue
        if seen is None:
            name = place(score_fn, images[0], layer, sent_back=False).name
        mean, squares, active = of_batch(score_fn, images)
        if seen is not None:
            before, old, old_squares, old_active = seen
            away, number = mean - old, before + number
            share = len(images) / number
            mean = old + away * share
            squares = old_squares + squares + jnp.square(away) * before * share
            active = old_active + active
        seen = number, mean, squares, active
    if seen is None:
        raise ValueError("`batches` has no images")
    number, mean, squares, active = seen
    return Statistics(mean, jnp.sqrt(squares / number), active > RARE * number)
