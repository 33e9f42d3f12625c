"""Deconvnet."""

from saljax.core.layers import place_or_image
from saljax.core.names import Name
from saljax.core.override import Others
from saljax.core.spatial import ToSpatial
from saljax.core.types import Image, Reduction, Saliency, ScoreFn, Target
from saljax.methods.modified_backprop import rules
from saljax.ops import maps


def deconvnet(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    reduce: Reduction | None = maps.max_abs,
    resize: bool = True,
    others: Others = "refuse",
) -> Saliency:
    """Gradient with a ReLU on the way back in place of each ReLU's derivative.

    At each ReLU: R <- max(R, 0), whatever its input was. Max pooling sends back to its winner, the
    "switches" of the paper. Smooth rectifiers keep their derivative.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        layer: see `guided_backprop`.
        to_spatial: see `guided_backprop`.
        reduce: see `guided_backprop`.
        resize: see `guided_backprop`.
        others: see `guided_backprop`.

    Returns:
        (*spatial) map >= 0, or what `reduce` makes.

    Raises:
        ValueError: as `guided_backprop`.

    Source: Zeiler, Fergus, ECCV 2014, section 2.1, started at a class instead of a feature.
    """
    name, to_spatial = place_or_image(score_fn, image, layer, to_spatial)
    _, signed, _ = rules.send_back(score_fn, image, target, name, rules.DECONV, others)
    return rules.to_map(signed, image, name, to_spatial, reduce, resize)
