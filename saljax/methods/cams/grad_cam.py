"""Grad-CAM."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import taps
from saljax.core.spatial import ToSpatial, spatial
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.ops import images

Activation = Float[Array, "..."]


def grad_cam(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layer: str | None = None,
    to_spatial: ToSpatial | None = None,
    resize: bool = True,
) -> Saliency:
    """Activations of a layer, weighted by their spatially averaged gradients.

    S = relu(sum_k a_k A_k),    a_k = mean_x d score[target] / d A_k(x)

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper; it must tag
            `layer` with `saljax.tag`.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        layer: name of a tagged activation; None: the last one with spatial axes that is not the
            output of a pooling, which is the last convolutional layer of the paper (in SqueezeNet
            it gives the scores already; `saljax.models.info(name).layer` is the one before).
        to_spatial: for a layer that is no (*spatial, channels) itself: a linear function that makes
            it one. Channels first: `lambda a: jnp.moveaxis(a, 0, -1)`; a transformer's tokens:
            `lambda tokens: tokens[1:].reshape(14, 14, -1)`.
        resize: bring the map to the size of the image, linearly; False: the layer's own size.

    Returns:
        (*spatial) map >= 0.

    Raises:
        ValueError: `score_fn` tags no such layer, or none with spatial axes; the layer's shape
            does not go with the image's and there is no `to_spatial`; several targets.

    Source: Selvaraju et al., ICCV 2017, equations 1 and 2.
    """
    activation, gradient = read(score_fn, image, target, layer, to_spatial)
    weights = gradient.mean(axis=tuple(range(gradient.ndim - 1)))
    return finish(jnp.matmul(activation, weights, precision="highest"), image, resize)


def read(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    layer: str | None,
    to_spatial: ToSpatial | None,
) -> tuple[Activation, Activation]:
    """Activation and gradient of a layer, (*spatial, channels) both."""
    if layer is None:
        layer = taps.last_spatial(score_fn, image)
    both = taps.activation_and_gradient(score_fn, image, target, layer)
    activation, gradient = (spatial(x, image, layer, to_spatial) for x in both)
    return activation, gradient


def finish(weighted: Activation, image: Image, resize: bool) -> Saliency:
    """What is positive, at the size of the image if `resize`."""
    saliency = jax.nn.relu(weighted).astype(jnp.float32)
    return images.resize(saliency, image.shape[:-1]) if resize else saliency
