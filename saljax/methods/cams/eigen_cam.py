"""EigenCAM and EigenGradCAM."""

import jax.numpy as jnp

from saljax.core import scores, taps
from saljax.core.layers import place
from saljax.core.names import Name
from saljax.core.spatial import ToSpatial, spatial
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.methods.cams.grad_cam import at_size, read


def eigen_cam(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    gradients: bool = False,
    center: bool = True,
    resize: bool = True,
) -> Saliency:
    """The direction in which the activations of a layer vary most, place by place.

    S = X v_1,    v_1 the first right singular vector of X (places x channels),    X = A

    It asks nothing of the class: it shows what the layer sees, and costs a pass forward.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C), RGB in [0, 1].
        target: class index (); looked at with `gradients` only.
        layer: see `grad_cam`.
        to_spatial: see `grad_cam`.
        gradients: X = A times the gradient of the target's score (EigenGradCAM).
        center: take the mean over places from each channel first, as pytorch-grad-cam does and the
            paper does not; without it the map of activations >= 0 has one sign.
        resize: see `grad_cam`.

    Returns:
        (*spatial) map, signed. The sign of a singular vector means nothing: it is chosen so that
        the largest value is positive.

    Raises:
        ValueError: as `grad_cam`.

    Source: Muhammad & Yeasin, "Eigen-CAM: Class Activation Map using Principal Components", IJCNN
    2020; EigenGradCAM is pytorch-grad-cam's. v_1 is found from the places x places matrix X X^T:
    the same map, for a tenth of the work.
    """
    scores.one_class(target)
    if gradients:
        activation, gradient = read(score_fn, image, target, layer, to_spatial)
        x = activation * gradient
    else:
        name, to_spatial = place(score_fn, image, layer, to_spatial, sent_back=False)
        found, (activation,) = taps.activations(score_fn, jnp.asarray(image)[None], [name])
        # Of a class that does not exist the map is NaN, here too.
        nothing = 0 * scores.of_class(found, target)[0]
        x = spatial(activation[0], image, name, to_spatial) + nothing
    shape = x.shape[:-1]
    x = x.reshape(-1, x.shape[-1]).astype(jnp.float32)
    if center:
        x = x - x.mean(axis=0, keepdims=True)
    # By its scale, or squares of small activations would be no numbers any more.
    size = abs(x).max()
    x = x / jnp.where(size > 0, size, 1)
    values, vectors = jnp.linalg.eigh(jnp.matmul(x, x.T, precision="highest"))
    saliency = size * jnp.sqrt(jnp.maximum(values[-1], 0)) * vectors[:, -1]
    saliency = jnp.where(-saliency.min() > saliency.max(), -saliency, saliency)
    return at_size(saliency.reshape(shape), image, resize)
