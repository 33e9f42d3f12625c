"""ADCC: average drop, coherency and complexity in one number."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import keys
from saljax.core.types import Baseline, Image, Method, ScoreFn, Target
from saljax.metrics import explaining, similarity
from saljax.metrics.faithfulness.average_drop import average_drop
from saljax.ops import maps, perturb


class Adcc(NamedTuple):
    """Of one image.

    Attributes:
        adcc: () in [0, 1], harmonic mean of the others; higher is better.
        coherency: () in [0, 1], whether what the map keeps has the same map; higher is better.
        complexity: () in [0, 1], mean of the normalized map; lower is better.
        drop: () in [0, 1], what the score loses of itself; lower is better.
    """

    adcc: Float[Array, ""]
    coherency: Float[Array, ""]
    complexity: Float[Array, ""]
    drop: Float[Array, ""]


def adcc(
    method: Method,
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey | None = None,
    explains: ScoreFn | None = None,
    baseline: Baseline = perturb.mean_color,
) -> Adcc:
    """Average drop, coherency and complexity of a method on one image.

    ADCC = 3 / (1 / coherency + 1 / (1 - complexity) + 1 / (1 - drop))

    coherency = (1 + pearson(S, S')) / 2 with S' the map of I S; complexity = mean of S; drop as of
    `average_drop`; S min-max normalized.

    Args:
        method: see `saljax.explain`.
        score_fn: images (N, *spatial, C) -> probabilities (N, K).
        image: I, (*spatial, C).
        target: class index (), of both maps.
        key: of a random method, the same for both maps.
        explains: what the method explains, if not `score_fn`: logits, of most methods by gradients.
        baseline: what shows where S is 0: an image, anything that broadcasts to one, or a function
            of the image.

    Returns:
        An `Adcc`; 0 where one of the three terms is, or where a map is constant, which has no
        coherency. NaN for a map with a NaN or a class that does not exist.

    Raises:
        ValueError: the method gives no map of the image for one class.

    Source: Poppi et al., "Revisiting The Evaluation of Class Activation Mapping for
    Explainability", CVPR workshops 2021. Its code divides the drop by the largest probability, the
    same for the predicted class; the mean color is what its 0 is after normalization.
    """
    explain = explaining.with_key(method, key)
    asked = score_fn if explains is None else explains
    saliency = explain(asked, image, target)
    mask = maps.normalize(saliency)
    again = explain(asked, perturb.perturb(image, mask, baseline), target)
    correlation = similarity.pearson(saliency, again)
    broken = jnp.isnan(saliency).any() | jnp.isnan(again).any()
    coherency = jnp.where(jnp.isnan(correlation), 0.0, (1 + correlation) / 2)
    coherency, complexity = (jnp.where(broken, jnp.nan, x) for x in (coherency, mask.mean()))
    drop = average_drop(score_fn, image, target, saliency, baseline=baseline).drop / 100
    terms = jnp.stack([coherency, 1 - complexity, 1 - drop])
    mean = 3 / (1 / jnp.where(terms > 0, terms, 1.0)).sum()
    mean = jnp.where((terms <= 0).any(), 0.0, jnp.where(jnp.isnan(terms).any(), jnp.nan, mean))
    return Adcc(mean, coherency, complexity, drop)
