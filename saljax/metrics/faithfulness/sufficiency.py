"""Sufficiency: do images with the same explanation have the same prediction?"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from saljax.core import checks
from saljax.metrics import inputs


def sufficiency(
    saliency: Float[Array, "batch *spatial"],
    predictions: Int[Array, " batch"],
    *,
    threshold: float = 0.6,
) -> Float[Array, " batch"]:
    """Share of the images with the same explanation that have the same predicted class.

    Maps are the same whose distance is at most `threshold` times the largest in the batch; the
    distance is Euclidean, each pixel divided by its standard deviation over the batch.

    Args:
        saliency: (N, *spatial), maps of all the images at once; the numbers depend on them all.
        predictions: (N,), predicted classes.
        threshold: in [0, 1]; at 1 all maps are the same.

    Returns:
        (N,) in [0, 1]; higher is better. 0 for an image whose explanation no other has. NaN for all
        where a map has a NaN.

    Raises:
        ValueError: arrays that do not go together, or a negative `threshold`.

    Source: Dasgupta, Frost, Moshkovitz, "Framework for Evaluating Faithfulness of Local
    Explanations", ICML 2022, with the distance and threshold of Quantus (LATEC takes 0.9). Pixels
    that are the same in all maps are left out, our choice.
    """
    checks.not_negative(threshold=threshold)
    saliency = inputs.any_map(saliency)
    predictions = jnp.asarray(predictions)
    number = len(saliency)
    if saliency.ndim < 2 or predictions.shape != (number,):
        raise ValueError(
            "`saliency` must be maps (N, *spatial) and `predictions` (N,); got "
            f"{saliency.shape} and {predictions.shape}."
        )
    flat = saliency.reshape(number, -1)
    spread = flat.std(axis=0)
    varies = flat.max(axis=0) > flat.min(axis=0)
    flat = jnp.where(varies[None], flat / jnp.where(varies, spread, 1.0)[None], 0.0)
    away = jax.lax.map(lambda one: jnp.sqrt(jnp.square(flat - one[None]).sum(axis=1)), flat)
    near = (away <= threshold * away.max()) & ~jnp.eye(number, dtype=bool)
    same = predictions[:, None] == predictions[None]
    neighbors = near.sum(axis=1).astype(jnp.float32)
    share = (near & same).sum(axis=1).astype(jnp.float32) / jnp.maximum(neighbors, 1.0)
    return jnp.where(jnp.isnan(saliency).any(), jnp.nan, share)
