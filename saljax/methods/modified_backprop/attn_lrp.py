"""Layer-wise relevance propagation for transformers: AttnLRP and CP-LRP."""

from typing import Literal, get_args

from saljax.core import checks
from saljax.core.layers import place_or_image
from saljax.core.names import Name
from saljax.core.override import Others
from saljax.core.spatial import ToSpatial
from saljax.core.types import Image, Reduction, Saliency, ScoreFn, Target
from saljax.methods.modified_backprop import rules
from saljax.ops import maps

Attention = Literal["cp", "attn"]


def attn_lrp(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    attention: Attention = "cp",
    gamma_convolution: float = 0.25,
    gamma_dense: float = 0.05,
    epsilon: float = 1e-6,
    layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    reduce: Reduction | None = maps.total,
    resize: bool = True,
    others: Others = "refuse",
) -> Saliency:
    """Share a score among the inputs of each operation of a transformer.

    With R = score at the target, down to the image:

    - z_j = sum_i x_i w_ij: R_i = x_i sum_j v_ij R_j / sum_k x_k v_kj, where v_ij is w_ij, and
      (1 + gamma) w_ij if x_i w_ij has the sign of z_j; a bias, added behind it, keeps its share;
    - a norm: its scale is a constant, what remains is linear;
    - a function of one number (GELU, SiLU, ReLU): R_i = R_i;
    - a product of two factors that depend on the image: half to each;
    - softmax s of x: R_i = x_i (R_i - s_i sum_j R_j).

    That is AttnLRP. CP-LRP takes attention for constant: softmax sends nothing to queries and keys,
    and of a matrix product the values have all.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits.
        image: (*spatial, C), RGB in [0, 1]: black pixels contribute nothing and get 0.
        target: class index ().
        attention: "cp" or "attn", as above. The authors take CP-LRP with gamma for vision
            transformers, since AttnLRP's maps are noisy there.
        gamma_convolution: >= 0, for convolutions, such as the one that cuts patches. The authors
            tune it by hand, from 0.1 to 100; this default, and the next, are our choice of theirs.
        gamma_dense: >= 0, for products with weights; theirs are from 0 to 1.
        epsilon: >= 0, in units of the activations, see `lrp`; it stands where that has it.
        layer: see `guided_backprop`.
        to_spatial: see `guided_backprop`.
        reduce: see `guided_backprop`; here the sum, which keeps the total.
        resize: see `guided_backprop`.
        others: see `guided_backprop`.

    Returns:
        (*spatial) map, negative where a pixel speaks against the target; in units of the score. It
        sums to it but for biases, epsilon, and with "attn" the softmaxes.

    Raises:
        ValueError: no such `attention`; a gamma or `epsilon` is negative; else as
            `guided_backprop`.

    Source: Achtibat, Hatefi, Dreyer, Jain, Wiegand, Lapuschkin, Samek, ICML 2024; CP-LRP: Ali,
    Schnake, Eberle, Montavon, Mueller, Wolf, ICML 2022. In their code a bias shares in the gamma
    rule; here it is an operation of its own behind it.
    """
    if attention not in get_args(Attention):
        raise ValueError(f"`attention` must be 'cp' or 'attn'; got {attention!r}")
    checks.not_negative(
        gamma_convolution=gamma_convolution, gamma_dense=gamma_dense, epsilon=epsilon
    )
    composite = rules.attention_relevance(epsilon, attention, gamma_convolution, gamma_dense)
    name, to_spatial = place_or_image(score_fn, image, layer, to_spatial)
    x, signal, score = rules.send_back(score_fn, image, target, name, composite, others)
    relevance = rules.in_units_of(score, epsilon, x * signal)
    return rules.to_map(relevance, image, name, to_spatial, reduce, resize)
