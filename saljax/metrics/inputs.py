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
