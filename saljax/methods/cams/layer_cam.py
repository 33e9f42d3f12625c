"""LayerCAM."""

import jax

from saljax.core.names import Name
from saljax.core.spatial import ToSpatial
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.methods.cams.grad_cam import finish, read


def layer_cam(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    resize: bool = True,
) -> Saliency:
    """Grad-CAM with a weight for each place: its gradient where that is positive.

    S = relu(sum_k relu(g_k) A_k),    g_k = d score[target] / d A_k

    Places that speak against the class no longer blur those that speak for it, so it can be asked
    at early layers, whose maps are fine.

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

    Source: Jiang, Zhang, Hou, Cheng, Wei, "LayerCAM: Exploring Hierarchical Class Activation Maps
    for Localization", IEEE TIP 2021, equations 6 and 7. The authors' code leaves the outer relu
    out, which for activations >= 0 is the same. Of one layer: the paper's fusion of several, which
    passes shallow maps through a tanh and takes the larger, is not here.
    """
    activation, gradient = read(score_fn, image, target, layer, to_spatial)
    return finish((jax.nn.relu(gradient) * activation).sum(axis=-1), image, resize)
