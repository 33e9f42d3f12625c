"""Insertion and deletion: the score while pixels come, or go, in order of importance."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, ranking, scores
from saljax.core.types import Baseline, Image, ScoreFn, Target
from saljax.metrics import inputs
from saljax.metrics.faithfulness import baselines
from saljax.ops import maps, perturb


class InsertionDeletion(NamedTuple):
    """Areas under the two curves, in the units of the score.

    Attributes:
        insertion: (); higher is better.
        deletion: (); lower is better.
    """

    insertion: Float[Array, ""]
    deletion: Float[Array, ""]


class InsertionDeletionCurves(NamedTuple):
    """The areas and what they are areas of.

    Attributes:
        insertion: ().
        deletion: ().
        insertion_curve: (n + 1,), from the insertion baseline to the image.
        deletion_curve: (n + 1,), from the image to the deletion baseline.
    """

    insertion: Float[Array, ""]
    deletion: Float[Array, ""]
    insertion_curve: Float[Array, " points"]
    deletion_curve: Float[Array, " points"]


def insertion_deletion(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "*spatial"],
    *,
    step: int = 224,
    insertion_baseline: Baseline = baselines.rise_blur,
    deletion_baseline: Baseline = perturb.mean_color,
    chunk_size: int = 32,
    details: bool = False,
) -> Any:
    """Insert the most important pixels first, and delete them first; areas under the scores.

    Curves have n + 1 points, n = ceil(pixels / step): point i has the first i * step pixels in
    order of importance replaced, equal ones in order of memory. The area is their trapezoid sum
    over n, so that a constant score c has area c.

    Scattered pixels confuse a classifier sooner than a hole does: a map of noise may well have less
    deletion than a good smooth one. Insertion does not have this weakness.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities in the paper.
        image: (*spatial, C).
        target: class index (); the paper's is the class that scores highest.
        saliency: (*spatial).
        step: pixels replaced from one point to the next, whatever the size of the image. The
            default is a row of 224 x 224 pixels: 225 points and 450 passes a map. The paper's code
            takes eight rows where it evaluates many images.
        insertion_baseline: what insertion starts from: an image, anything that broadcasts to one,
            or a function of the image.
        deletion_baseline: what deletion ends in, likewise. The default, the image's own mean color,
            fits any number of channels; for a classifier whose preprocessing makes ImageNet's mean
            color 0 the paper's is `baselines.imagenet_mean`.
        chunk_size: images scored at a time; memory only, never the result.
        details: return the curves too.

    Returns:
        `InsertionDeletion`, or `InsertionDeletionCurves` where details are asked for. NaN for a map
        with a NaN or a class that does not exist.

    Raises:
        ValueError: shapes that do not go together, or a number out of its range.

    Source: Petsiuk, Das, Saenko, "RISE", BMVC 2018, section 4.1, and its official code, which works
    on preprocessed images of ImageNet: its 0 is the mean color of that data set. The image's own,
    where nothing is known of the classifier, is our choice.
    """
    checks.count(step=step, chunk_size=chunk_size)
    saliency = inputs.map_of(image, saliency, target)
    start = perturb.baseline_image(image, insertion_baseline)
    end = perturb.baseline_image(image, deletion_baseline)
    pixels = math.prod(saliency.shape)
    points = [min(i * step, pixels) for i in range(-(-pixels // step) + 1)]
    insertion, deletion = ranking.score_curves(
        score_fn, target, saliency, jnp.stack([image, end]), jnp.stack([start, image]),
        jnp.asarray(points, jnp.int32), chunk_size,
    )  # fmt: skip
    areas = _area(insertion), _area(deletion)
    if details:
        return InsertionDeletionCurves(*areas, insertion, deletion)
    return InsertionDeletion(*areas)


def score_drop(
    score_fn: ScoreFn, image: Image, target: Target, saliency: Float[Array, "*spatial"]
) -> Float[Array, ""]:
    """How far the score falls when the image is darkened by its map.

    P(y | I) - P(y | I * (1 - S)), S min-max normalized

    Noise darkens the image beyond recognition too: the number compares smooth maps only.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities in the paper.
        image: I, (*spatial, C).
        target: y, class index ().
        saliency: S, (*spatial).

    Returns:
        () in units of the score; 0 for a constant map, NaN for a map with a NaN.

    Raises:
        ValueError: shapes that do not go together.

    Source: the GLAS paper, figure 5: "original images are perturbed by the inverse heat map, and
    the amount that the score drops is recorded". It prints the probabilities before and after.
    """
    saliency = inputs.map_of(image, saliency, target)
    inverse = 1 - maps.normalize(saliency).astype(jnp.result_type(image))
    seen = scores.of_class(score_fn(jnp.stack([image, image * inverse[..., None]])), target)
    return seen[0] - seen[1]


def _area(curve):
    return (curve.sum() - curve[0] / 2 - curve[-1] / 2) / (curve.shape[0] - 1)
