"""XGrad-CAM."""

import jax.numpy as jnp

from saljax.core.names import Name
from saljax.core.spatial import ToSpatial
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.methods.cams.grad_cam import finish, read

CANCELLED = 1e-6
"""Share of a channel's absolute activation below which its sum counts as none. Our choice."""


def xgrad_cam(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    resize: bool = True,
) -> Saliency:
    """Grad-CAM whose weights average the gradient where the channel is active.

    S = relu(sum_k w_k A_k),    w_k = sum_x g_k A_k / sum_x A_k,    g_k = d score[target] / d A_k

    The weights that keep two promises best: the map adds up to the score (but for biases), and
    removing a channel takes away what the map gives it. Meant for activations >= 0.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        layer: see `grad_cam`.
        to_spatial: see `grad_cam`.
        resize: see `grad_cam`.

    Returns:
        (*spatial) map >= 0.

    Raises:
        ValueError: as `grad_cam`.

    Source: Fu, Hu, Dong, Guo, Gao, Li, "Axiom-based Grad-CAM", BMVC 2020, equation 8. The code adds
    1e-6 to the denominator, which turns the sign of a channel whose activations nearly cancel; here
    a channel whose sum is below `CANCELLED` of its absolute sum has the weight 0, and others are
    divided by their sum alone.
    """
    activation, gradient = read(score_fn, image, target, layer, to_spatial)
    space = tuple(range(activation.ndim - 1))
    total = activation.sum(axis=space)
    none = abs(total) <= CANCELLED * abs(activation).sum(axis=space)
    share = (gradient * activation).sum(axis=space) / jnp.where(none, 1, total)
    weights = jnp.where(none, 0, share)
    return finish(jnp.matmul(activation, weights, precision="highest"), image, resize)
