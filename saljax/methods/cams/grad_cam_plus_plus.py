"""Grad-CAM++."""

import jax
import jax.numpy as jnp

from saljax.core.names import Name
from saljax.core.spatial import ToSpatial
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.methods.cams.grad_cam import finish, read


def grad_cam_plus_plus(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    normalize_alpha: bool = False,
    resize: bool = True,
) -> Saliency:
    """Grad-CAM whose weights count each place by how much of the channel's evidence it holds.

    S = relu(sum_k w_k A_k),    w_k = sum_x alpha_k(x) relu(g_k(x)),
    alpha_k = g_k^2 / (2 g_k^2 + g_k^3 sum_x A_k(x)),    g_k = d score[target] / d A_k

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits S; the paper's class score is
            exp(S), whose three derivatives give alpha.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        layer: see `grad_cam`.
        to_spatial: see `grad_cam`.
        normalize_alpha: divide each channel's alpha by its sum, as the authors' code does and the
            paper does not.
        resize: see `grad_cam`.

    Returns:
        (*spatial) map >= 0.

    Raises:
        ValueError: as `grad_cam`.

    Source: Chattopadhay, Sarkar, Howlader, Balasubramanian, WACV 2018. The
    factor exp(S), the same for the whole map, is left out: it may overflow. Where the denominator
    of alpha is 0 it is 1, as in the authors' code. The powers of g are divided out beforehand.
    """
    activation, g = read(score_fn, image, target, layer, to_spatial)
    space = tuple(range(g.ndim - 1))
    denominator = 2 + g * activation.sum(axis=space, keepdims=True)
    alpha = jnp.where(denominator == 0, g**2, 1 / jnp.where(denominator == 0, 1, denominator))
    alpha = jnp.where(g == 0, 0, alpha)
    if normalize_alpha:
        total = alpha.sum(axis=space, keepdims=True)
        alpha = alpha / jnp.where(total == 0, 1, total)
    weights = (alpha * jax.nn.relu(g)).sum(axis=space)
    return finish(jnp.matmul(activation, weights, precision="highest"), image, resize)
