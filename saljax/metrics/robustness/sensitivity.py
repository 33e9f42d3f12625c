"""Sensitivity: how far does a map move when the image hardly does?"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, chunks, keys
from saljax.core.types import Image, Method, ScoreFn, Target
from saljax.metrics import explaining


class Sensitivity(NamedTuple):
    """Relative changes of a map; lower is better.

    Attributes:
        largest: (), over the samples.
        average: (), over the samples.
    """

    largest: Float[Array, ""]
    average: Float[Array, ""]


def sensitivity(
    method: Method,
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    radius: float = 0.02,
    num_samples: int = 10,
    chunk_size: int = 4,
) -> Sensitivity:
    """Largest and average change of a method's map in a small box around the image.

    |S(I + d) - S(I)|_2 / |S(I)|_2,    d uniform in [-r, r] in every value

    Args:
        method: see `saljax.explain`. A random one has the same key for all maps, or its own noise
            would be measured.
        score_fn: images (N, *spatial, C) -> scores (N, K), what the method explains.
        image: I, (*spatial, C), in [0, 1]; I + d is not clipped.
        target: class index (), of all maps.
        key: for d, and for a random method; sample i has its own, folded from i.
        radius: r, in units of the image.
        num_samples: of d.
        chunk_size: maps at a time, each with the memory that the method needs; memory only, never
            the result.

    Returns:
        A `Sensitivity`; NaN where the map is zero everywhere, or a map has a NaN.

    Raises:
        ValueError: a number out of its range, or the method gives no map of the image for one
            class.

    Source: Yeh et al., "On the (In)fidelity and Sensitivity of Explanations", NeurIPS 2019,
    definition 2.2. r = 0.02 and 10 samples are captum's, which does not know what the image's
    units are; Quantus takes 0.2 of normalized values.
    """
    checks.count(num_samples=num_samples, chunk_size=chunk_size)
    checks.not_negative(radius=radius)
    explain, key = explaining.with_key(method, key), keys.own(key)

    def shifted(index):
        """The image itself for index 0: all maps come out of one trace of the method."""
        d = jax.random.uniform(jax.random.fold_in(key, index), image.shape, jnp.float32, -1, 1)
        near = (image.astype(jnp.float32) + radius * d).astype(image.dtype)
        return explain(score_fn, jnp.where(index > 0, near, image), target)

    found = chunks.map_over(jax.vmap(shifted), jnp.arange(num_samples + 1), chunk_size)
    most = jnp.abs(found[0]).max()
    found = found / jnp.where(most > 0, most, 1.0)  # so that squares neither vanish nor overflow
    axes = tuple(range(1, found.ndim))
    length = jnp.sqrt(jnp.square(found[0]).sum())
    moved = jnp.sqrt(jnp.square(found[1:] - found[:1]).sum(axes))
    moved = moved / jnp.where(length > 0, length, jnp.nan)
    return Sensitivity(moved.max(), moved.mean())


def max_sensitivity(
    method: Method,
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    radius: float = 0.02,
    num_samples: int = 10,
    chunk_size: int = 4,
) -> Float[Array, ""]:
    """The largest change of `sensitivity`.

    Args:
        method: see `sensitivity`, as all others.
        score_fn: what the method explains.
        image: (*spatial, C).
        target: class index ().
        key: for the shifts, and for a random method.
        radius: r, in units of the image.
        num_samples: of the shifts.
        chunk_size: maps at a time; memory only, never the result.

    Returns:
        () >= 0; lower is better.

    Raises:
        ValueError: see `sensitivity`.

    Source: see `sensitivity`.
    """
    return sensitivity(
        method, score_fn, image, target, key=key, radius=radius, num_samples=num_samples,
        chunk_size=chunk_size,
    ).largest  # fmt: skip
