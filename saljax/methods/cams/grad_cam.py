"""Grad-CAM."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import taps
from saljax.core.layers import place
from saljax.core.names import Name
from saljax.core.spatial import ToSpatial, spatial
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.ops import images

Activation = Float[Array, "..."]


def grad_cam(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    resize: bool = True,
) -> Saliency:
    """Activations of a layer, weighted by their spatially averaged gradients.

    S = relu(sum_k a_k A_k),    a_k = mean_x d score[target] / d A_k(x)

        saljax.grad_cam(score_fn, image, target, layer="layer4")

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        layer: a tag, a module, an operation such as "relu:-1", or a number, see `saljax.layers`.
            None: the last tag with spatial axes that is not the output of a pooling, which is the
            last convolutional layer of the paper; without tags the output of the last
            convolutional block. In SqueezeNet that gives the scores already:
            `saljax.models.info(name).layer` is the one before. Of a vision transformer the norm
            before the last attention: behind it often only the class token reaches the scores,
            and the map is 0.
        to_spatial: a linear function that makes the layer (*spatial, channels); None: as the trace
            says, channels first too, and tokens as a grid. Else `lambda a: jnp.moveaxis(a, 0, -1)`
            of channels first, or `lambda tokens: tokens[1:].reshape(14, 14, -1)`.
        resize: bring the map to the size of the image, linearly; False: the layer's own size.

    Returns:
        (*spatial) map >= 0.

    Raises:
        ValueError: there is no such layer, or none with spatial axes; the layer's shape does not
            go with the image's and there is no `to_spatial`; several targets.

    Source: Selvaraju et al., ICCV 2017, equations 1 and 2.
    """
    activation, gradient = read(score_fn, image, target, layer, to_spatial)
    weights = gradient.mean(axis=tuple(range(gradient.ndim - 1)))
    return finish(jnp.matmul(activation, weights, precision="highest"), image, resize)


def read(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    layer: Name | None,
    to_spatial: ToSpatial | None,
) -> tuple[Activation, Activation]:
    """Activation and gradient of a layer, (*spatial, channels) both."""
    name, to_spatial = place(score_fn, image, layer, to_spatial)
    both = taps.activation_and_gradient(score_fn, image, target, name)
    activation, gradient = (spatial(x, image, name, to_spatial) for x in both)
    return activation, gradient


def finish(weighted: Activation, image: Image, resize: bool) -> Saliency:
    """What is positive, at the size of the image if `resize`."""
    return at_size(jax.nn.relu(weighted), image, resize)


def at_size(saliency: Activation, image: Image, resize: bool) -> Saliency:
    """A map of the layer, at the size of the image if `resize`."""
    saliency = saliency.astype(jnp.float32)
    return images.resize(saliency, image.shape[:-1]) if resize else saliency
