"""Layer-wise relevance propagation, LRP-0 and LRP-epsilon."""

from saljax.core import checks
from saljax.core.layers import place_or_image
from saljax.core.names import Name
from saljax.core.override import Others
from saljax.core.spatial import ToSpatial
from saljax.core.types import Image, Reduction, Saliency, ScoreFn, Target
from saljax.methods.modified_backprop import rules
from saljax.ops import maps


def lrp(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    epsilon: float = 0.01,
    layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    reduce: Reduction | None = maps.total,
    resize: bool = True,
    others: Others = "refuse",
) -> Saliency:
    """Share a score among the inputs of each layer in proportion to what they contribute.

    R_i = sum_j x_i w_ij / (z_j + epsilon sign(z_j)) R_j,    z_j = sum_i x_i w_ij + b_j,

    from R = score at the target down to the image. Biases, and what a normalization subtracts, keep
    their share. With epsilon = 0 (LRP-0) this is gradient times input, for any network of ReLUs.
    Other functions of one number hand on what they get, gates and attention half to each factor,
    and the scale of a norm is fixed, as in AttnLRP: the table in `saljax.methods.modified_backprop`
    has all operations. Of scores that are probabilities it explains these.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits.
        image: (*spatial, C), RGB in [0, 1]: black pixels contribute nothing and get 0.
        target: class index ().
        epsilon: >= 0, in units of the activations: what is small beside it is not believed. Our
            choice; the paper has no default.
        layer: see `guided_backprop`.
        to_spatial: see `guided_backprop`.
        reduce: see `guided_backprop`; here the sum, which keeps the total.
        resize: see `guided_backprop`.
        others: see `guided_backprop`.

    Returns:
        (*spatial) map, negative where a pixel speaks against the target; in units of the score.

    Raises:
        ValueError: `epsilon` is negative; else as `guided_backprop`.

    Source: Bach, Binder, Montavon, Klauschen, Mueller, Samek, PLOS ONE 2015;
    as a modified gradient, Ancona, Ceolini, Oztireli, Gross, ICLR 2018. As there, epsilon stands at
    the rectifiers and at the score; a layer whose output goes into a sum has none before it.
    """
    checks.not_negative(epsilon=epsilon)
    composite = rules.relevance(epsilon)
    name, to_spatial = place_or_image(score_fn, image, layer, to_spatial)
    x, signal, score = rules.send_back(score_fn, image, target, name, composite, others)
    relevance = rules.in_units_of(score, epsilon, x * signal)
    return rules.to_map(relevance, image, name, to_spatial, reduce, resize)
