"""How alike two maps, or two lists of numbers, are: Pearson, Spearman and SSIM."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import ranking
from saljax.metrics import inputs
from saljax.ops import images


def pearson(first: Float[Array, "..."], second: Float[Array, "..."]) -> Float[Array, ""]:
    """Pearson's correlation of two arrays, value by value.

    Args:
        first: of any shape.
        second: of the same shape.

    Returns:
        () in [-1, 1]; NaN where one of them is constant or has a NaN.

    Raises:
        ValueError: their shapes differ.
    """
    first, second = _flat(first, second)
    equal = (first.max() == first.min()) | (second.max() == second.min())
    # Scaled before they are squared, so that neither tiny nor huge values leave float32.
    first, second = (_unit(x - x.mean()) for x in (first, second))
    length = jnp.sqrt((first * first).sum() * (second * second).sum())
    return jnp.where(equal, jnp.nan, jnp.clip((first * second).sum() / length, -1, 1))


def spearman(first: Float[Array, "..."], second: Float[Array, "..."]) -> Float[Array, ""]:
    """Spearman's correlation: Pearson's of the ranks; equal values share their mean rank.

    Args:
        first: of any shape.
        second: of the same shape.

    Returns:
        () in [-1, 1]; NaN where one of them is constant or has a NaN.

    Raises:
        ValueError: their shapes differ.
    """
    first, second = _flat(first, second)
    broken = jnp.isnan(first).any() | jnp.isnan(second).any()
    return jnp.where(broken, jnp.nan, pearson(mean_ranks(first), mean_ranks(second)))


def mean_ranks(values: Float[Array, " values"]) -> Float[Array, " values"]:
    """Ranks from below, centered at 0; equal values share the mean of theirs.

    Args:
        values: (n,).

    Returns:
        (n,) in steps of 1/2, with sum 0.
    """
    bits = ranking.sortable(values)
    ascending = jnp.sort(bits)
    below = jnp.searchsorted(ascending, bits, side="left")
    above = values.size - jnp.searchsorted(ascending, bits, side="right")
    return (below - above).astype(jnp.float32) / 2


def ssim(
    first: Float[Array, "*spatial"],
    second: Float[Array, "*spatial"],
    *,
    data_range: float | None = None,
) -> Float[Array, ""]:
    """Structural similarity of two maps.

    mean of (2 m1 m2 + C1) (2 c12 + C2) / ((m1^2 + m2^2 + C1) (v1 + v2 + C2))

    with means m, variances v and covariance c under a Gaussian window, sigma 1.5 and 11 pixels, at
    each place where it lies inside; C1 = (0.01 r)^2, C2 = (0.03 r)^2.

    Args:
        first: (*spatial).
        second: (*spatial).
        data_range: r; from the lowest to the highest value of both together if None.

    Returns:
        () in [-1, 1], 1 for equal maps; NaN where one has a NaN.

    Raises:
        ValueError: their shapes differ.

    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 2004, equation 13. On an axis shorter than 11
    pixels the edge is repeated and every place counts, our choice. Quantus takes the window along
    the flattened map, which is another quantity.
    """
    _flat(first, second)
    pair = jnp.stack([inputs.any_map(first), inputs.any_map(second)], axis=-1)
    extent = pair.max() - pair.min() if data_range is None else jnp.float32(data_range)
    extent = jnp.where(extent > 0, extent, 1.0)
    a, b = pair[..., :1], pair[..., 1:]
    seen = images.blur(jnp.concatenate([a, b, a * a, b * b, a * b], axis=-1), 1.5, 5)
    seen = seen[tuple(slice(5, -5) if n >= 11 else slice(None) for n in seen.shape[:-1])]
    m1, m2, v1, v2, c12 = (seen[..., i] for i in range(5))
    v1, v2, c12 = v1 - m1 * m1, v2 - m2 * m2, c12 - m1 * m2
    low, high = jnp.square(0.01 * extent), jnp.square(0.03 * extent)
    light = (2 * m1 * m2 + low) / (m1 * m1 + m2 * m2 + low)
    return (light * (2 * c12 + high) / (v1 + v2 + high)).mean()


class Similarity(NamedTuple):
    """How alike two maps are, see `spearman`, `pearson` and `ssim`.

    Attributes:
        spearman: () or (L,), of ranks.
        pearson: () or (L,), of values.
        ssim: () or (L,), of structure, each map min-max normalized.
    """

    spearman: Float[Array, "*several"]
    pearson: Float[Array, "*several"]
    ssim: Float[Array, "*several"]


def _unit(x):
    most = jnp.abs(x).max()
    return x / jnp.where(most > 0, most, 1.0)


def _flat(first, second):
    first, second = inputs.any_map(first), inputs.any_map(second)
    if first.shape != second.shape:
        raise ValueError(
            f"two maps of the same shape compare; got {first.shape} and {second.shape}."
        )
    return first.ravel(), second.ravel()
