"""HiResCAM."""

import jax

from saljax.core.names import Name
from saljax.core.spatial import ToSpatial
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.methods.cams.grad_cam import at_size, read


def hires_cam(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    positive: bool = False,
    resize: bool = True,
) -> Saliency:
    """Activations of a layer times their gradients, place by place: what each place adds.

    S = sum_k g_k A_k,    g_k = d score[target] / d A_k

    With a head that is piecewise linear and has no bias the map adds up to the score, so a place
    counts for what it gives, where Grad-CAM gives every place the mean weight of its channel.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        layer: see `grad_cam`.
        to_spatial: see `grad_cam`.
        positive: cut the map at 0, as others do; the paper does not.
        resize: see `grad_cam`.

    Returns:
        (*spatial) map, signed: what speaks against the class is below 0.

    Raises:
        ValueError: as `grad_cam`.

    Source: Draelos & Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of
    convolutional neural networks", 2020.
    """
    activation, gradient = read(score_fn, image, target, layer, to_spatial)
    saliency = (activation * gradient).sum(axis=-1)
    return at_size(jax.nn.relu(saliency) if positive else saliency, image, resize)
