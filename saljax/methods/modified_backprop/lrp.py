"""Layer-wise relevance propagation: LRP-0, LRP-epsilon and composites of rules."""

from collections.abc import Mapping

from saljax.core import checks
from saljax.core.layers import place_or_image
from saljax.core.names import Name
from saljax.core.override import Others
from saljax.core.spatial import ToSpatial
from saljax.core.types import Image, Reduction, Saliency, ScoreFn, Target
from saljax.methods.modified_backprop import composites, rules
from saljax.methods.modified_backprop.composites import Composite, Share
from saljax.ops import maps


def lrp(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    epsilon: float | None = None,
    composite: Composite | Mapping[str, Share] | None = None,
    gamma: float = 0.25,
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

    A composite has other rules at some layers, of x = x+ + x-, w = w+ + w-, b = b+ + b-:

    - "z_plus": x+ w+ + x- w- in place of x w, in the sum with b+ in place of b; "alpha2_beta1":
      twice that share minus once the one of x+ w- + x- w+ and b-;
    - "gamma": x w + gamma (x+ w+ + x- w-) and b + gamma b+ where z > 0; where z < 0
      x w + gamma (x+ w- + x- w+) and b + gamma b-;
    - "box": x w - l w+ - h w-, no b, from l to h, what black and white images are at that layer;
    - "flat": 1 in place of x w, "w_square": w^2, no b; both give black pixels something too;
    - sums and poolings in proportion, functions of one number and maxima hand on all.

    "epsilon_plus" has "z_plus" at convolutions, "epsilon_alpha2_beta1" that one,
    "epsilon_gamma_box" "gamma", and "box" at the first; "..._flat" have "flat" at the first layer
    with weights, whatever it is. All others, products with weights, have the rule above. A bias and
    a batch normalization right behind a layer are part of it.

        saljax.lrp(score_fn, image, target, composite="epsilon_plus")

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits.
        image: (*spatial, C), RGB in [0, 1]: black pixels contribute nothing and get 0.
        target: class index ().
        epsilon: >= 0, in units of the activations: what is small beside it is not believed. None is
            0.01, our choice, since the paper has no default, and 1e-6 in a composite.
        composite: a name, as above, or place -> rule, as in {"first_convolution": "box"}; places
            are "first", "first_convolution", "convolution" and "dense".
        gamma: >= 0, of the rule "gamma".
        layer: see `guided_backprop`.
        to_spatial: see `guided_backprop`.
        reduce: see `guided_backprop`; here the sum, which keeps the total.
        resize: see `guided_backprop`.
        others: see `guided_backprop`.

    Returns:
        (*spatial) map, negative where a pixel speaks against the target; in units of the score.

    Raises:
        ValueError: `epsilon` or `gamma` is negative, no such `composite`; else as
            `guided_backprop`.

    Source: Bach, Binder, Montavon, Klauschen, Mueller, Samek, PLOS ONE 2015;
    as a modified gradient, Ancona, Ceolini, Oztireli, Gross, ICLR 2018. As there, epsilon stands at
    the rectifiers and at the score; a layer whose output goes into a sum has none before it.
    Composites: Montavon, Binder, Lapuschkin, Samek, Mueller, "Layer-wise relevance propagation: an
    overview", 2019; names and constants of Anders, Neumann, Samek, Mueller, Lapuschkin, 2021, whose
    code squares the biases for "w_square" and takes the layer registered first for the first.
    """
    if epsilon is None:
        epsilon = 0.01 if composite is None else 1e-6
    checks.not_negative(epsilon=epsilon, gamma=gamma)
    name, to_spatial = place_or_image(score_fn, image, layer, to_spatial)
    if composite is not None:
        places = composites.chosen(composite)
        ends = composites.box(score_fn, image, others) if "box" in places.values() else None
        own = composites.relevance(places, epsilon, gamma, ends)
        _, signal, score = rules.send_back(score_fn, image, target, name, own, others)
        relevance = signal * score.astype(signal.dtype)
        return rules.to_map(relevance, image, name, to_spatial, reduce, resize)
    own = rules.relevance(epsilon)
    x, signal, score = rules.send_back(score_fn, image, target, name, own, others)
    relevance = rules.in_units_of(score, epsilon, x * signal)
    return rules.to_map(relevance, image, name, to_spatial, reduce, resize)
