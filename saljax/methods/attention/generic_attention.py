"""Generic attention explainability."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from saljax.core import scores, taps
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.methods.attention import tokens


def generic_attention(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layers: Sequence[str] | None = None,
    patches: Sequence[int] | None = None,
    pooling: tokens.Pooling = None,
    resize: bool = True,
) -> Saliency:
    """Attention times its gradient, where that is positive, gathered through the layers.

    R = (I + E_L) ... (I + E_1),    E_l = mean_h relu(A_lh * d score[target] / d A_lh)

    The map is the class token's row of R, at the patches; 0 where no product is positive.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper; it must tag its
            attention, see `saljax.methods.attention.tokens`.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        layers: names of tagged attention (heads, T, T); None: all whose names end in `attention`.
        patches: their number along each spatial axis; None: read from the number of tokens and the
            proportions of the image.
        pooling: whose row is read, the first token's ("class") or the mean over all patches
            ("mean"); None: "class" where there are more tokens than patches.
        resize: bring the map to the size of the image, linearly; False: a number a patch.

    Returns:
        (*spatial) map >= 0.

    Raises:
        ValueError: no attention is tagged; the tokens do not fit `patches`, or no number of them;
            several targets.

    Source: Chefer, Gur, Wolf, "Generic Attention-model Explainability for Interpreting Bi-Modal
    and Encoder-Decoder Transformers", ICCV 2021, equations 5 and 6, for self-attention. The class
    token's relevance for itself is left out.
    """
    names = tokens.layers_of(taps.tagged(score_fn, image), layers)
    seen = taps.pullbacks(score_fn, image, names)
    gradients = seen.back(scores.pick(seen.scores, target))
    found = jnp.eye(seen.activations[0].shape[-1], dtype=seen.activations[0].dtype)
    for attention, gradient in zip(seen.activations, gradients, strict=True):
        evidence = jax.nn.relu(attention * gradient).mean(axis=0)
        found = found + jnp.matmul(evidence, found, precision="highest")
    cells = tokens.grid_of(len(found), image, patches)
    return tokens.finish(tokens.row_of(found, math.prod(cells), pooling), cells, image, resize)
