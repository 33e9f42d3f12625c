"""What is read from a saliency map: its normalization, channels, blobs, peak and regions."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


def normalize(saliency: Float[Array, "*spatial"]) -> Float[Array, "*spatial"]:
    """Min-max normalization to [0, 1]; a constant map gives zeros.

    Args:
        saliency: (*spatial).

    Returns:
        (saliency - min) / (max - min).
    """
    low, high = saliency.min(), saliency.max()
    return (saliency - low) / jnp.where(high > low, high - low, 1.0)


def max_abs(signed: Float[Array, "*spatial channels"]) -> Float[Array, "*spatial"]:
    """Largest absolute value over the channels."""
    return jnp.abs(signed).max(axis=-1)


def sum_abs(signed: Float[Array, "*spatial channels"]) -> Float[Array, "*spatial"]:
    """Sum of absolute values over the channels."""
    return jnp.abs(signed).sum(axis=-1)


def total(signed: Float[Array, "*spatial channels"]) -> Float[Array, "*spatial"]:
    """Sum over the channels."""
    return signed.sum(axis=-1)


def blobs(mask: Bool[Array, "*spatial"]) -> Int[Array, "*spatial"]:
    """Label the connected components of a mask; diagonal neighbors are connected.

    Every pixel takes the largest index among its neighbors in the mask until nothing changes, so
    the number of steps is the length of the longest path inside a blob.

    Args:
        mask: (*spatial).

    Returns:
        (*spatial), 0 outside the mask, one positive label (not consecutive) for each blob. The
        blob whose first pixel comes first in memory has the largest label.
    """
    last_first = jnp.arange(mask.size, 0, -1, dtype=jnp.int32).reshape(mask.shape)

    def grow(state):
        labels, _ = state
        window, none = (3,) * mask.ndim, np.int32(0)
        grown = jax.lax.reduce_window(labels, none, jax.lax.max, window, (1,) * mask.ndim, "SAME")
        grown = jnp.where(mask, grown, 0)
        return grown, jnp.any(grown != labels)

    start = jnp.where(mask, last_first, 0)
    return jax.lax.while_loop(lambda state: state[1], grow, (start, jnp.any(mask)))[0]


def biggest_blob(mask: Bool[Array, "*spatial"]) -> Bool[Array, "*spatial"]:
    """The connected component with the most pixels; of equals, the first in memory.

    Args:
        mask: (*spatial).

    Returns:
        (*spatial); empty where the mask is.
    """
    labels = blobs(mask).ravel()
    sizes = jnp.zeros(mask.size + 1, jnp.int32).at[labels].add(1).at[0].set(0)
    first_biggest = mask.size - jax.lax.argmax(sizes[::-1], 0, jnp.int32)
    return mask & (labels == first_biggest).reshape(mask.shape)


def centroid(mask: Bool[Array, "*spatial"]) -> Float[Array, " rank"]:
    """Mean coordinates of the pixels of a mask, in array indices; NaN for an empty one.

    Args:
        mask: (*spatial).

    Returns:
        (rank,). It may fall outside a concave mask.
    """
    weights = mask.astype(jnp.float32)
    coordinates = jnp.indices(mask.shape).astype(jnp.float32)
    return (coordinates * weights[None]).sum(tuple(range(1, mask.ndim + 1))) / weights.sum()


def peak(saliency: Float[Array, "*spatial"]) -> Int[Array, " rank"]:
    """Array indices of the maximum; of equals, the first in memory.

    Args:
        saliency: (*spatial).

    Returns:
        (rank,).
    """
    return jnp.stack(jnp.unravel_index(jnp.argmax(saliency), saliency.shape)).astype(jnp.int32)


def region_centroids(
    labels: Int[Array, "*spatial"], num_regions: int
) -> Float[Array, "regions rank"]:
    """Centroids of labeled regions, in array indices.

    Args:
        labels: (*spatial), 0 is background, regions are 1..num_regions.
        num_regions: R, static.

    Returns:
        (R, rank); NaN for a label that does not occur.
    """
    return region_means(jnp.indices(labels.shape).astype(jnp.float32), labels, num_regions).T


def region_means(
    values: Float[Array, "..."], labels: Int[Array, "*spatial"], num_regions: int
) -> Float[Array, "*leading regions"]:
    """Mean of values over each labeled region.

    Args:
        values: (*spatial), or with leading axes.
        labels: (*spatial), regions are 1..num_regions, all else is background.
        num_regions: R, static.

    Returns:
        (..., R) float32, whatever the values are; NaN for a label that does not occur.
    """
    flat = jnp.where((labels >= 1) & (labels <= num_regions), labels, 0).ravel()
    rows = values.reshape(-1, flat.size).astype(jnp.float32)
    sums = jnp.zeros((rows.shape[0], num_regions + 1), jnp.float32).at[:, flat].add(rows)
    counts = jnp.zeros(num_regions + 1, jnp.float32).at[flat].add(1.0)
    leading = values.shape[: values.ndim - labels.ndim]
    return (sums[:, 1:] / counts[None, 1:]).reshape(*leading, num_regions)
