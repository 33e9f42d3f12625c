"""Guided backpropagation."""

from saljax.core.layers import place_or_image
from saljax.core.names import Name
from saljax.core.override import Others
from saljax.core.spatial import ToSpatial
from saljax.core.types import Image, Reduction, Saliency, ScoreFn, Target
from saljax.methods.modified_backprop import rules
from saljax.ops import maps


def guided_backprop(
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
    """Gradient that only passes a ReLU where both its input and the gradient are positive.

    At each ReLU: R(x) <- R where x > 0 and R > 0, else 0. Smooth rectifiers (GELU, SiLU, leaky
    ReLU, ...) keep their derivative, as in captum; the table in `saljax.methods.modified_backprop`
    has all operations.

    It shows what the network sees; it hardly depends on the target.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        layer: where the map is read, any name of it, see `saljax.layers`; None: the image.
        to_spatial: a linear function that makes the layer (*spatial, channels), such as
            `lambda a: jnp.moveaxis(a, 0, -1)` of channels first; None: as the trace says.
        reduce: what is made of the channels, (*spatial, C) -> (*spatial); the paper shows the
            signal itself as a color picture, which `reduce=None` returns, signed and never resized.
        resize: bring a layer's map to the size of the image, linearly; False: its own size.
        others: what becomes of operations without a rule, see `saljax.override`.

    Returns:
        (*spatial) map >= 0, or what `reduce` makes.

    Raises:
        ValueError: `score_fn` has no ReLU, or something in it has no rule, see `saljax.override`;
            there is no such layer, or one whose shape does not go with the image's without
            `to_spatial`; several targets.

    Source: Springenberg, Dosovitskiy, Brox, Riedmiller, ICLR workshop 2015.
    """
    name, to_spatial = place_or_image(score_fn, image, layer, to_spatial)
    _, signed, _ = rules.send_back(score_fn, image, target, name, rules.GUIDED, others)
    return rules.to_map(signed, image, name, to_spatial, reduce, resize)
