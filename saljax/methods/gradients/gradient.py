"""The gradient, alone and times the image."""

import functools

import jax
import jax.numpy as jnp

from saljax.core import convolutions, scores
from saljax.core.ask import ask
from saljax.core.taps import alone
from saljax.core.types import Image, Images, Reduction, Saliency, ScoreFn, Target
from saljax.ops import maps


def gradient(
    score_fn: ScoreFn, image: Image, target: Target, *, reduce: Reduction | None = maps.max_abs
) -> Saliency:
    """Gradient of the target's score with respect to the image.

    S(x) = max_c |d score[target] / d image(x, c)|

        saljax.gradient(score_fn, image, target)

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        reduce: what is made of the channels, (*spatial, C) -> (*spatial); None: the signed
            gradient as it is.

    Returns:
        (*spatial) map >= 0, or what `reduce` makes; score per unit of the image.

    Raises:
        ValueError: several targets were asked for.

    Source: Simonyan, Vedaldi, Zisserman, ICLR workshop 2014, section 3.
    """
    return reduced(gradients(score_fn, alone(image), target)[0], reduce)


def input_x_gradient(
    score_fn: ScoreFn, image: Image, target: Target, *, reduce: Reduction | None = maps.total
) -> Saliency:
    """Gradient times image: what each pixel adds to the score if the classifier were linear.

    S(x) = sum_c image(x, c) d score[target] / d image(x, c)

    Black pixels get 0: black is what the image is compared with.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        reduce: see `gradient`; the sum over channels is our choice.

    Returns:
        (*spatial) map, negative where a pixel speaks against the target; in units of the score.

    Raises:
        ValueError: several targets were asked for.

    Source: Shrikumar, Greenside, Shcherbina, Kundaje, arXiv 1605.01713 (2016).
    """
    return reduced(gradients(score_fn, alone(image), target)[0] * image, reduce)


def gradients(score_fn: ScoreFn, images: Images, target: Target) -> Images:
    """Gradient of the target's score of each image with respect to that image; fast in loops."""

    def of(images):
        values, back = jax.vjp(functools.partial(ask, score_fn), images)
        return back(scores.pick(values, target))[0]

    return convolutions.in_order(of)(images)


def reduced(signed: Image, reduce: Reduction | None) -> Saliency:
    """The map of a signed image, float32; None leaves it as it is."""
    return signed if reduce is None else reduce(signed).astype(jnp.float32)
