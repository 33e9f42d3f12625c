"""One-line answers to arrays that do not go together."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

from saljax.core.types import Image, Target
from saljax.ops import boxes as box_ops
from saljax.ops import images as image_ops


def picture_map(saliency: Float[Array, "height width"]) -> Float[Array, "height width"]:
    """Return a map as float32, NaN where it is infinite.

    Raises:
        ValueError: it is not one map of a picture.
    """
    saliency = jnp.asarray(saliency, jnp.float32)
    if saliency.ndim != 2:
        raise ValueError(
            f"`saliency` must be one map (H, W); got shape {saliency.shape}. For many, jax.vmap "
            "the metric over them."
        )
    return _no_infinity(saliency)


def map_of(
    image: Image, saliency: Float[Array, "*spatial"], target: Target
) -> Float[Array, "*spatial"]:
    """Return a map as float32, NaN where it is infinite.

    Raises:
        ValueError: it is not the map of this image for one class, or the image is of integers.
    """
    image_ops.check(image)
    saliency = jnp.asarray(saliency, jnp.float32)
    if saliency.shape != image.shape[:-1]:
        raise ValueError(
            f"`saliency` must have the image's spatial shape, {image.shape[:-1]}; got "
            f"{saliency.shape}."
        )
    if jnp.ndim(target) != 0:
        raise ValueError(
            f"`target` must be one class index, that of the map; got shape {jnp.shape(target)}."
        )
    return _no_infinity(saliency)


def any_map(saliency: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return a map of any shape as float32, NaN where it is infinite."""
    return _no_infinity(jnp.asarray(saliency, jnp.float32))


def shares(saliency: Float[Array, "..."]) -> Float[Array, " values"]:
    """What share each value has of the sum of all absolute ones; NaN where that is 0 or NaN."""
    size = jnp.abs(any_map(saliency)).ravel()
    size = size / jnp.where(size.max() > 0, size.max(), jnp.nan)  # the sum cannot overflow then
    return size / size.sum()


def map_and_mask(
    saliency: Float[Array, "*spatial"], mask: Bool[Array, "*spatial"] | Num[Array, "boxes 4"]
) -> tuple[Float[Array, "*spatial"], Bool[Array, "*spatial"]]:
    """Return a map as float32, NaN where it is infinite, and the pixels of an object.

    Raises:
        ValueError: the mask is neither booleans of the map's shape nor boxes on a picture.
    """
    saliency, mask = any_map(saliency), mask if hasattr(mask, "dtype") else jnp.asarray(mask)
    if mask.dtype != jnp.bool_ and saliency.ndim == 2 and mask.shape[1:] == (4,):
        return saliency, box_ops.inside_boxes(mask, saliency.shape)
    if mask.dtype != jnp.bool_ or mask.shape != saliency.shape:
        raise ValueError(
            f"`mask` must be of booleans, of the map's shape {saliency.shape}, or boxes (B, 4); "
            f"got {mask.dtype} {mask.shape}."
        )
    return saliency, jnp.asarray(mask)


def _no_infinity(saliency):
    return jnp.where(jnp.isinf(saliency), jnp.nan, saliency)


def object_mask(
    objects: Bool[Array, "height width"] | Num[Array, "boxes 4"], shape: tuple[int, ...]
) -> Bool[Array, "height width"]:
    """Pixels of the objects, which are a mask already or boxes.

    Raises:
        ValueError: they are neither.
    """
    objects = objects if hasattr(objects, "dtype") else jnp.asarray(objects)
    if objects.dtype != jnp.bool_:
        return box_ops.inside_boxes(objects, shape)
    if objects.shape != shape:
        raise ValueError(
            f"`objects` must be boxes or a mask of the map's shape, {shape}; got {objects.shape}."
        )
    return jnp.asarray(objects)
