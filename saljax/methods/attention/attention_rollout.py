"""Attention rollout."""

import math
from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import scores, taps
from saljax.core.layers import alone
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.methods.attention import tokens

Heads = Literal["mean", "max", "min"]


def attention_rollout(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layers: Sequence[str] | None = None,
    heads: Heads = "mean",
    discard: float = 0.0,
    raw: bool = False,
    patches: Sequence[int] | None = None,
    pooling: tokens.Pooling = None,
    resize: bool = True,
) -> Saliency:
    """Attention, half of it replaced by the shortcut, multiplied through the layers.

    R = B_L ... B_1,    B_l = rows of (mean_h A_lh + I) divided by their sums

    The map is the class token's row of R, at the patches. It looks at no score: all classes have
    the same map.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K); it must tag its attention, see
            `saljax.methods.attention.tokens`.
        image: (*spatial, C), RGB in [0, 1].
        target: class index (); only whether there is one matters.
        layers: names of tagged attention (heads, T, T); None: all whose names end in `attention`.
        heads: what is taken of the heads, entry by entry.
        discard: share of the entries of each layer, the lowest, that are set to 0 before the
            shortcut is added, in [0, 1).
        raw: the attention of the last of the layers itself, without shortcut or product.
        patches: their number along each spatial axis; None: read from the number of tokens and the
            proportions of the image.
        pooling: whose row is read, the first token's ("class") or the mean over all patches
            ("mean"); None: "class" where there are more tokens than patches.
        resize: bring the map to the size of the image, linearly; False: a number a patch.

    Returns:
        (*spatial) map in [0, 1].

    Raises:
        ValueError: no attention is tagged; the tokens do not fit `patches`, or no number of them;
            `discard` or `heads` is out of range; several targets.

    Source: Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020, in
    its order: later layers on the left. `discard` and other `heads` are those of
    the code vit-explain, which exempts the entry of the class token for itself and divides columns.
    """
    if heads not in ("mean", "max", "min"):
        raise ValueError(f"`heads` must be 'mean', 'max' or 'min'; got {heads!r}")
    if not 0 <= discard < 1:
        raise ValueError(f"`discard` must be a share in [0, 1); got {discard}")
    names = tokens.layers_of(taps.tagged(score_fn, image), layers)
    seen, activations = taps.activations(score_fn, alone(image), names)
    fused = [getattr(jnp, heads)(a[0], axis=0) for a in activations]
    fused = [_without_the_lowest(a, discard) for a in fused]
    found = fused[-1] if raw else jnp.eye(len(fused[-1]), dtype=fused[-1].dtype)
    for attention in () if raw else fused:
        mixed = attention + jnp.eye(len(attention), dtype=attention.dtype)
        mixed = mixed / mixed.sum(axis=1, keepdims=True)
        found = jnp.matmul(mixed, found, precision="highest")
    cells = tokens.grid_of(len(found), image, patches)
    row = tokens.row_of(found, math.prod(cells), pooling)
    none = 0 * scores.pick(seen, target).sum()  # NaN where there is no such class
    return tokens.finish(row + none.astype(row.dtype), cells, image, resize)


def _without_the_lowest(x: Float[Array, "t t"], share: float) -> Float[Array, "t t"]:
    number = int(share * x.size)
    if not number:
        return x
    return x.ravel().at[jnp.argsort(x, axis=None)[:number]].set(0).reshape(x.shape)
