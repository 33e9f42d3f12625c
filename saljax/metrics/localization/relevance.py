"""Relevance against a mask: how much of a map, and of its highest pixels, lies on the object?"""

from typing import Literal, get_args

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

from saljax.core import checks
from saljax.metrics import inputs

Values = Literal["positive", "absolute", "signed"]


def relevance_mass(
    saliency: Float[Array, "*spatial"],
    mask: Bool[Array, "*spatial"] | Num[Array, "boxes 4"],
    *,
    values: Values = "positive",
) -> Float[Array, ""]:
    """Relevance mass accuracy: share of a map's mass on the object.

    sum of S over the mask / sum of S

    With `values="absolute"` it is what Quantus calls attribution localization.

    Args:
        saliency: S, (*spatial).
        mask: (*spatial) of booleans; or boxes (B, 4) as x1, y1, x2, y2 in pixels of the map,
            corners inside, rows of NaN ignored.
        values: "positive" counts max(S, 0); "absolute" |S|; "signed" S itself, as printed, which
            has no bounds where S is negative somewhere.

    Returns:
        () in [0, 1] but for "signed". The mask's share of the picture, which is chance, where the
        sum is 0; NaN for an empty mask, and for a map with a NaN.

    Raises:
        ValueError: shapes that do not go together, or `values` is none of the three.

    Source: Arras, Osman, Samek, "CLEVR-XAI", Information Fusion 2022, whose maps are positive;
    "positive" for others is our choice.
    """
    checks.one_of(get_args(Values), values=values)
    saliency, mask = inputs.map_and_mask(saliency, mask)
    taken = {"positive": jnp.maximum(saliency, 0.0), "absolute": jnp.abs(saliency)}
    mass = taken.get(values, saliency)
    total, inside = mass.sum(), jnp.where(mask, mass, 0.0).sum()
    share = jnp.where(total == 0, _chance(mask), inside / jnp.where(total == 0, 1.0, total))
    return _known(share, saliency, mask)


def relevance_rank(
    saliency: Float[Array, "*spatial"],
    mask: Bool[Array, "*spatial"] | Num[Array, "boxes 4"],
) -> Float[Array, ""]:
    """Relevance rank accuracy: share of the highest pixels that lie on the object.

    As many of the highest pixels count as the mask has. Where some of equal ones count, the share
    is what a random choice among them would have.

    Args:
        saliency: (*spatial).
        mask: see `relevance_mass`.

    Returns:
        () in [0, 1]; chance is the mask's share of the picture. NaN for an empty mask, and for a
        map with a NaN.

    Raises:
        ValueError: shapes that do not go together.

    Source: Arras, Osman, Samek, "CLEVR-XAI", Information Fusion 2022. Taking the expectation over
    ties is our choice; by order of memory a constant map would depend on where the object is.
    """
    saliency, mask = inputs.map_and_mask(saliency, mask)
    return _known(_share_of_top(saliency, mask, mask.sum()), saliency, mask)


def top_k_intersection(
    saliency: Float[Array, "*spatial"],
    mask: Bool[Array, "*spatial"] | Num[Array, "boxes 4"],
    *,
    k: int = 1000,
) -> Float[Array, ""]:
    """Share of the k highest pixels that lie on the object; ties as in `relevance_rank`.

    Times the number of pixels over that of the mask it is the concept influence.

    Args:
        saliency: (*spatial).
        mask: see `relevance_mass`.
        k: pixels; all of them where there are fewer.

    Returns:
        () in [0, 1]; NaN for an empty mask, and for a map with a NaN.

    Raises:
        ValueError: shapes that do not go together, or `k` is not above 0.

    Source: Theiner, Mueller-Budack, Ewerth, "Interpretable Semantic Photo Geolocation", WACV 2022.
    """
    checks.count(k=k)
    saliency, mask = inputs.map_and_mask(saliency, mask)
    top = jnp.minimum(jnp.asarray(k, jnp.int32), saliency.size)
    return _known(_share_of_top(saliency, mask, top), saliency, mask)


def localization_auc(
    saliency: Float[Array, "*spatial"],
    mask: Bool[Array, "*spatial"] | Num[Array, "boxes 4"],
) -> Float[Array, ""]:
    """Area under the ROC curve of the pixels, ranked by the map, for those of the object.

    It is the chance that a pixel of the object is higher than one outside; equal ones count half.

    Args:
        saliency: (*spatial).
        mask: see `relevance_mass`.

    Returns:
        () in [0, 1], 1/2 for a constant map; NaN where the mask is empty or everything, and for a
        map with a NaN.

    Raises:
        ValueError: shapes that do not go together.

    Source: Fawcett, "An introduction to ROC analysis", 2006.
    """
    saliency, mask = inputs.map_and_mask(saliency, mask)
    values, inside = saliency.ravel(), mask.ravel()
    outside = jnp.sort(jnp.where(inside, jnp.inf, values))
    below = jnp.searchsorted(outside, values, side="left")
    not_above = jnp.searchsorted(outside, values, side="right")
    number = (~inside).sum().astype(jnp.float32)
    beaten = (below + not_above).astype(jnp.float32) / (2 * number)
    area = jnp.where(inside, beaten, 0.0).sum() / inside.sum().astype(jnp.float32)
    return _known(area, saliency, mask)


def _share_of_top(saliency, mask, top):
    """Share on the mask of the highest `top` pixels, its expectation where the last are tied."""
    lowest = jnp.sort(saliency.ravel())[saliency.size - jnp.maximum(top, 1)]
    above, equal = saliency > lowest, saliency == lowest
    counts = (x.sum().astype(jnp.float32) for x in (above, above & mask, equal, equal & mask))
    higher, higher_inside, tied, tied_inside = counts
    wanted = top.astype(jnp.float32)
    return (higher_inside + (wanted - higher) * tied_inside / tied) / wanted


def _chance(mask):
    return mask.astype(jnp.float32).mean()


def _known(value, saliency, mask):
    return jnp.where(jnp.isnan(saliency).any() | ~mask.any(), jnp.nan, value)
