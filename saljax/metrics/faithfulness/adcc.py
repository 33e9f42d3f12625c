"""ADCC and ARCC: average drop or ROAD, coherency and complexity in one number."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import keys
from saljax.core.types import Baseline, Image, Method, ScoreFn, Target
from saljax.metrics import explaining, similarity
from saljax.metrics.faithfulness.average_drop import average_drop
from saljax.metrics.faithfulness.road import road
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


class Arcc(NamedTuple):
    """Of one image.

    Attributes:
        arcc: () in [0, 1], harmonic mean of the others; higher is better.
        coherency: () in [0, 1], see `Adcc`; higher is better.
        complexity: () in [0, 1], mean of the normalized map; lower is better.
        road: () in [0, 1], twice ROAD's `combined`, at least 0; higher is better.
    """

    arcc: Float[Array, ""]
    coherency: Float[Array, ""]
    complexity: Float[Array, ""]
    road: Float[Array, ""]


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
    asked = score_fn if explains is None else explains
    saliency, coherency, complexity = _kept(method, asked, image, target, key, baseline)
    drop = average_drop(score_fn, image, target, saliency, baseline=baseline).drop / 100
    return Adcc(_harmonic(coherency, 1 - complexity, 1 - drop), coherency, complexity, drop)


def arcc(
    method: Method,
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    explains: ScoreFn | None = None,
    baseline: Baseline = perturb.mean_color,
    shares: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8),
    chunk_size: int = 32,
) -> Arcc:
    """ROAD, coherency and complexity of a method on one image.

    ARCC = 3 / (1 / coherency + 1 / (1 - complexity) + 1 / clip(2 ROAD, 0, 1))

    `adcc` whose average drop, which a map wins by keeping much of the image, gives way to ROAD.

    Args:
        method: see `saljax.explain`.
        score_fn: images (N, *spatial, C) -> probabilities (N, K).
        image: I, (*spatial, C), in [0, 1].
        target: class index (), of both maps.
        key: for ROAD's noise and ties, and of a random method, the same for both maps.
        explains: what the method explains, if not `score_fn`: logits, of most methods by gradients.
        baseline: what shows where the map is 0, for the coherency alone: an image, anything that
            broadcasts to one, or a function of the image.
        shares: see `road`, as what ROAD takes besides, which is left as it is.
        chunk_size: images filled in and scored at a time; memory only, never the result.

    Returns:
        An `Arcc`; 0 where one of the three terms is, as where the least relevant pixels matter as
        much as the most relevant. NaN for a map with a NaN or a class that does not exist.

    Raises:
        ValueError: the method gives no map of the image for one class, or see `road`.

    Source: Domeniconi, Stramiglio, Lombardi, Salti, "How to Evaluate and Refine your CAM", 2026, as
    pytorch-grad-cam computes it; that takes the map as the method gives it, from 0 to 1, and ROAD
    of what the classifier is given, which is probabilities here.
    """
    asked = score_fn if explains is None else explains
    saliency, coherency, complexity = _kept(method, asked, image, target, key, baseline)
    found = road(score_fn, image, target, saliency, key=key, shares=shares, chunk_size=chunk_size)
    twice = jnp.clip(2 * found.combined, 0, 1)
    return Arcc(_harmonic(coherency, 1 - complexity, twice), coherency, complexity, twice)


def _kept(method, asked, image, target, key, baseline):
    """The map, its coherency and its complexity."""
    explain = explaining.with_key(method, key)
    saliency = explain(asked, image, target)
    mask = maps.normalize(saliency)
    again = explain(asked, perturb.perturb(image, mask, baseline), target)
    correlation = similarity.pearson(saliency, again)
    broken = jnp.isnan(saliency).any() | jnp.isnan(again).any()
    coherency = jnp.where(jnp.isnan(correlation), 0.0, (1 + correlation) / 2)
    coherency, complexity = (jnp.where(broken, jnp.nan, x) for x in (coherency, mask.mean()))
    return saliency, coherency, complexity


def _harmonic(*terms):
    """Mean of numbers in [0, 1]: 0 where one of them is."""
    terms = jnp.stack(terms)
    mean = len(terms) / (1 / jnp.where(terms > 0, terms, 1.0)).sum()
    return jnp.where((terms <= 0).any(), 0.0, jnp.where(jnp.isnan(terms).any(), jnp.nan, mean))
