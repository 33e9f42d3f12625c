"""Ablation-CAM."""

import jax
import jax.numpy as jnp

from saljax.core import checks, chunks, scores, taps
from saljax.core.layers import place
from saljax.core.names import Name
from saljax.core.spatial import ToSpatial, spatial
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.methods.cams.grad_cam import finish


def ablation_cam(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    chunk_size: int | None = None,
    resize: bool = True,
) -> Saliency:
    """Activations of a layer, weighted by how far the score falls without each channel.

    S = relu(sum_k w_k A_k),    w_k = (y - y_k) / |y|

    y is the score of the target and y_k that with channel k set to 0. No gradient is asked; the
    classifier runs once up to the layer and once a channel from there.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper.
        image: (*spatial, C), RGB in [0, 1].
        target: class index (), or (T,) for several classes from the same passes.
        layer: see `grad_cam`.
        to_spatial: see `grad_cam`.
        chunk_size: channels left out at a time; memory only, never the result.
            None: see `saljax.core.chunks.fitting`.
        resize: see `grad_cam`.

    Returns:
        (*spatial) map >= 0, or (T, *spatial).

    Raises:
        ValueError: as `grad_cam`.

    Source: Desai & Ramaswamy, "Ablation-CAM: Visual Explanations for Deep Convolutional Network via
    Gradient-free Localization", WACV 2020, equation 3. It divides by y: where that is negative a
    channel that helps would count against the class, so it is |y| here, and 1 where y is 0.
    """
    checks.count(chunk_size=chunk_size)
    name, to_spatial = place(score_fn, image, layer, to_spatial, sent_back=False)
    activation, scores_of = taps.split(score_fn, image, name)

    def channels_of(activation):
        return spatial(activation, image, name, to_spatial)

    seen = channels_of(activation)
    _, back = jax.vjp(channels_of, activation)  # linear: where each channel's places come from

    def score(kept):
        return scores.of_class(scores_of(kept)[None], target)[0]

    def without(channel):
        here = jnp.arange(seen.shape[-1]) == channel
        (taken,) = back(jnp.where(jnp.broadcast_to(here, seen.shape), seen, 0))
        return score(activation - taken)

    clean = score(activation)
    left = chunks.map_over(jax.vmap(without), jnp.arange(seen.shape[-1]), chunk_size)
    falls = clean[None] - left
    weights = falls / jnp.where(clean == 0, 1, abs(clean))[None]
    weighted = jnp.tensordot(weights.T, jnp.moveaxis(seen, -1, 0), axes=1, precision="highest")
    if not clean.ndim:
        return finish(weighted, image, resize)
    return jax.vmap(lambda one: finish(one, image, resize))(weighted)
