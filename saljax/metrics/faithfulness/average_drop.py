"""Average drop, increase and gain: what is left of the score of what the map keeps."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, scores
from saljax.core.ask import ask
from saljax.core.types import Baseline, Image, ScoreFn, Target
from saljax.metrics import inputs
from saljax.ops import maps, perturb


class AverageDrop(NamedTuple):
    """Of one image, in percent; the papers' numbers are means over images.

    Attributes:
        drop: () in 0..100, what the score loses; lower is better.
        increase: () 0 or 100, whether it rises; higher is better.
        gain: () in 0..100, what it wins of what is left to win; higher is better.
    """

    drop: Float[Array, ""]
    increase: Float[Array, ""]
    gain: Float[Array, ""]


def average_drop(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "*spatial"],
    *,
    keep: float = 1.0,
    baseline: Baseline = perturb.mean_color,
) -> AverageDrop:
    """Average drop, increase in confidence and average gain of one image.

    Y = p(I), O = p(I M + B (1 - M)), M the map min-max normalized

    drop = 100 max(0, Y - O) / Y,    increase = 100 [O > Y],    gain = 100 max(0, O - Y) / (1 - Y)

    A map that is 1 everywhere would have no drop, so drop and gain say little of how much a map
    marks; `adcc` does.

    Args:
        score_fn: images (N, *spatial, C) -> probabilities (N, K).
        image: I, (*spatial, C).
        target: class index (); the papers' is the predicted class.
        saliency: (*spatial), signed: what is lowest is masked most. A constant map masks all.
        keep: share of the pixels, the highest, that keep their value in M; the others are 0. 1, 0.5
            and 0.15 are usual.
        baseline: B, what shows where M is 0: an image, anything that broadcasts to one, or a
            function of the image. The mean color is what 0 means to a classifier that normalizes;
            0.0 multiplies the image itself by M.

    Returns:
        An `AverageDrop`; 0 instead of a division by 0. NaN for a map with a NaN or a class that
        does not exist.

    Raises:
        ValueError: shapes that do not go together, or `keep` is not in (0, 1].

    Source: Chattopadhay et al., "Grad-CAM++", WACV 2018, for drop and increase; Zhang et al.,
    "Opti-CAM", CVIU 2024, for gain; `keep` after Ntrougkas et al., "T-TAME". Of others xplique
    normalizes the absolute map, and pytorch-grad-cam does not divide by Y.
    """
    checks.positive(keep=keep)
    if not keep <= 1:
        raise ValueError(f"`keep` must be at most 1; got {keep}.")
    saliency = inputs.map_of(image, saliency, target)
    mask = maps.normalize(saliency)
    mask = jnp.where(mask >= jnp.quantile(mask, 1 - keep), mask, 0.0)
    masked = perturb.perturb(image, mask, baseline)
    before, after = scores.of_class(ask(score_fn, jnp.stack([image, masked])), target)
    lost, won = jnp.maximum(before - after, 0.0), jnp.maximum(after - before, 0.0)
    # NaN is no increase, and must not become 0.
    increase = jnp.where(jnp.isnan(after - before), jnp.nan, (after > before).astype(jnp.float32))
    rest = 1 - before
    drop = lost / jnp.where(before == 0, 1.0, before)
    gain = won / jnp.where(rest == 0, 1.0, rest)
    return AverageDrop(100 * drop, 100 * increase, 100 * gain)
