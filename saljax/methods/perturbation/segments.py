"""Segments of an image, which LIME and KernelSHAP switch on and off."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from saljax.core.segments import Labels, numbered
from saljax.core.types import Image
from saljax.ops import images, maps, masks


def labeled(
    image: Image, grid: int, segments: Labels | None, num_segments: int | None
) -> tuple[Int[Array, "*spatial"], int]:
    """Labels as int32, and how many there are.

    Args:
        image: (*spatial, C).
        grid: cells a side of the regular grid, where `segments` is not given.
        segments: (*spatial), labels 0..R-1.
        num_segments: R, needed where `segments` is not known until the program runs.

    Raises:
        ValueError: `segments` is not of the image's shape or has labels other than 0..R-1, or
            `num_segments` is missing or given without them.
    """
    spatial = images.space(image)
    if segments is None and num_segments is not None:
        raise ValueError("`num_segments` says how many `segments` there are; give them, or `grid`.")
    if segments is None:
        return masks.grid_segments(spatial, grid), grid ** len(spatial)
    if segments.shape != spatial:
        raise ValueError(
            f"`segments` must have the image's spatial shape, {spatial}; got {segments.shape}."
        )
    if not jnp.issubdtype(segments.dtype, jnp.integer):
        raise ValueError(f"`segments` must be labels, whole numbers; got {segments.dtype}.")
    return numbered(segments, num_segments)


def colored(
    image: Image, labels: Int[Array, "*spatial"], number: int
) -> Float[Array, "*spatial channels"]:
    """The image with each segment in its mean color."""
    means = maps.region_means(jnp.moveaxis(image, -1, 0), labels + 1, number)
    return jnp.moveaxis(means[:, labels], 0, -1).astype(jnp.result_type(image))
