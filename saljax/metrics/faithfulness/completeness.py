"""Completeness: do the values of a map sum to what the classifier's score changes by?"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import scores
from saljax.core.ask import ask
from saljax.core.types import Baseline, Image, ScoreFn, Target
from saljax.metrics import inputs
from saljax.ops import perturb


class Completeness(NamedTuple):
    """What a map's sum lacks or has too much.

    Attributes:
        delta: (), in units of the score, with its sign; 0 is complete.
        relative: () >= 0, |delta| over the size of the change it should sum to; NaN where that is
            0.
    """

    delta: Float[Array, ""]
    relative: Float[Array, ""]


def completeness(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "*spatial"],
    *,
    baseline: Baseline = 0.0,
) -> Completeness:
    """How far the sum of a map is from the score's change between baseline and image.

    delta = sum S - (f(I) - f(B))

    A check of methods that promise it, and of no other: integrated and expected gradients,
    DeepLIFT, kernel SHAP, LRP; of their signed maps, `reduce=ops.maps.total` where there is a
    choice.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), what the method explained.
        image: I, (*spatial, C).
        target: class index ().
        saliency: S, (*spatial), signed.
        baseline: B, the method's own: an image, anything that broadcasts to one, or a function of
            the image.

    Returns:
        A `Completeness`; NaN for a map with a NaN or a class that does not exist.

    Raises:
        ValueError: shapes that do not go together.

    Source: Sundararajan, Taly, Yan, ICML 2017, axiom of completeness; Bach et al. 2015 call it
    conservation. Quantus asks whether the two are equal floats; a difference says more.
    """
    saliency = inputs.map_of(image, saliency, target)
    pair = jnp.stack([image, perturb.baseline_image(image, baseline)])
    seen = scores.of_class(ask(score_fn, pair), target)
    change = seen[0] - seen[1]
    delta = saliency.sum() - change
    return Completeness(delta, jnp.abs(delta) / jnp.abs(jnp.where(change == 0, jnp.nan, change)))
