"""DeepLIFT's rescale rule, and its mean over baselines, DeepLIFT-SHAP."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from saljax.core import checks, chunks, scores
from saljax.core.layers import alone, traced
from saljax.core.override import LINEAR, Others, evaluate
from saljax.core.pointwise import SMOOTH
from saljax.core.types import Image, Reduction, Saliency, ScoreFn, Target
from saljax.ops import maps, perturb

NEAR = 1e-6
"""Inputs that differ by less, in units of themselves where those are above 1, are the same."""

_OF_ONE = (
    "relu", "min", *SMOOTH, "logistic", "hard_sigmoid", "tanh", "erf", "square", "integer_pow",
    "exp", "log", "abs", "sqrt",
)  # fmt: skip
_CHOICES = ("reduce_window_max", "reduce_window_min", "reduce_max", "reduce_min")


def deep_lift(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    baselines: Float[Array, "baselines ..."] | Float[np.ndarray, "baselines ..."] | float = 0.0,
    reduce: Reduction | None = maps.total,
    chunk_size: int = 8,
    others: Others = "refuse",
) -> Saliency:
    """What each pixel adds to the score of a baseline, each nonlinearity being a straight line.

    S = reduce(mean over baselines b of (image - b) m),    m = d score[target] / d image, where

    - a function of one number f has the slope (f(x) - f(b)) / (x - b) between what it is given of
      the image and of the baseline, and where these are the same its derivative;
    - of a maximum y = max_i x_i the larger of both, c, is between them: c - y(b) goes to the pixel
      that wins in the image, y(x) - c to the one that wins in the baseline;
    - what is linear keeps its derivative.

    With `reduce=None` the values sum to score(image) - mean score(baseline), exactly. One baseline
    is DeepLIFT, several are DeepLIFT-SHAP.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits. Gates, attention and norms
            have no such rule.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        baselines: (B, *spatial, C), such as images of the training data, or one number for all
            pixels of a single one. Others take the zero of the normalized image, its mean color.
        reduce: what is made of the channels, (*spatial, C) -> (*spatial); None: all, with signs.
        chunk_size: baselines at a time; memory only, never the result.
        others: see `guided_backprop`.

    Returns:
        (*spatial) map, negative where a pixel speaks against the target; in units of the score.

    Raises:
        ValueError: baselines are not of the image's shape, `chunk_size` is not above 0; something
            in `score_fn` has no rule, see `saljax.override`; several targets.

    Source: Shrikumar, Greenside, Kundaje, ICML 2017, the rescale rule alone; Lundberg, Lee, NeurIPS
    2017. Implementations differ where x and b are the same; here, below 1e-6, it is the derivative
    in the middle. For maxima the rule is that of captum and of the SHAP library; the authors' code
    takes the derivative there, whose values do not sum up.
    """
    checks.count(chunk_size=chunk_size)
    images = alone(image)
    given = perturb.baseline_images(images[0], baselines)
    program = traced(score_fn, images, for_rules=True)

    def contributions(baseline):
        seen: list[Any] = []

        def remember(operation, *inputs):
            out = operation(*inputs)
            if operation.kind not in LINEAR:
                seen.append((inputs[operation.dependent.index(True)], out))
            return out

        kinds = (*LINEAR, *_OF_ONE, *_CHOICES)
        evaluate(program, (baseline[None],), {kinds: remember}, others=others)
        before = iter(seen)

        def rule(operation, *inputs):
            if operation.kind in LINEAR:
                return operation(*inputs)
            i = operation.dependent.index(True)

            def of_one(x):
                return operation(*inputs[:i], x, *inputs[i + 1 :])

            send = _rescaled
            if operation.kind in _CHOICES:
                larger = jnp.maximum if operation.kind.endswith("max") else jnp.minimum
                send = functools.partial(_chosen, larger)
            return _between(of_one, send)(inputs[i], *next(before))

        out, back = jax.vjp(lambda x: evaluate(program, (x,), {kinds: rule}, others=others), images)
        sent = back(scores.pick(out, target))[0][0]
        return (images[0] - baseline) * sent

    total = chunks.sum_over(jax.vmap(contributions), given, chunk_size)
    signed = total / len(given)
    return signed if reduce is None else reduce(signed).astype(jnp.float32)


def _between(of_one, send):
    """An operation of the image that sends back by what it was given of the baseline, and gave."""

    @jax.custom_vjp
    def run(x, reference, gave):
        return of_one(x)

    def backward(saved, signal):
        return send(of_one, *saved, signal), None, None

    run.defvjp(lambda x, *of_b: (of_one(x), (x, *of_b)), backward)
    return run


def _rescaled(of_one, x, reference, gave, signal):
    away = x - reference
    near = jnp.abs(away) < NEAR * jnp.maximum(1, jnp.abs(x))
    slope = (of_one(x) - gave) / jnp.where(near, 1, away)
    derivative = jax.vjp(of_one, (x + reference) / 2)[1](signal)[0]
    return jnp.where(near, derivative, signal * slope)


def _chosen(larger, of_one, x, reference, gave, signal):
    """What lies between goes to both winners; it is 0 where a winner has the same value in both."""
    out, back = jax.vjp(of_one, x)
    between = larger(out, gave)
    of_image = back(signal * (between - gave))[0]
    of_reference = jax.vjp(of_one, reference)[1](signal * (out - between))[0]
    away = x - reference
    return jnp.where(away == 0, 0, (of_image + of_reference) / jnp.where(away == 0, 1, away))
