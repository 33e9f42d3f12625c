"""Guided integrated gradients: a way from baseline to image that avoids large gradients."""

import jax
import jax.numpy as jnp

from saljax.core import checks
from saljax.core.loops import while_loop
from saljax.core.types import Baseline, Image, Reduction, Saliency, ScoreFn, Target
from saljax.methods.gradients.gradient import gradients, reduced
from saljax.ops import maps, perturb

CLOSE = 1e-6
"""Of the whole distance: nearer than this a step has arrived."""


def guided_ig(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    num_steps: int = 200,
    baseline: Baseline = 0.0,
    fraction: float = 0.25,
    max_distance: float = 0.02,
    reduce: Reduction | None = maps.sum_abs,
) -> Saliency:
    """Integrated gradients along a way that first moves the pixels that matter least.

    S = reduce(sum_k (x_k - x_{k-1}) d score[target] / d image at x_{k-1})

    from x_0, the baseline, to x_n, the image. In step k the sum of absolute differences from the
    image falls to 1 - k/n of what it was: of the values that may move, those with the smallest
    absolute gradient, a `fraction` of all values, go as far as they may; then the next, with the
    gradients of the step, and the last of them as far as is still needed. Channels count apart.
    No value is more than `max_distance` of its way before or behind k/n. A map costs n passes
    forward and back, one after the other.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K); the authors explain what they are given,
            probabilities in their examples.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        num_steps: n.
        baseline: where the way starts, see `integrated_gradients`.
        fraction: of the values, in (0, 1]: how many move at a time.
        max_distance: in [0, 1]; 0 is the straight way, with gradients of the left ends, 1 is free.
        reduce: see `gradient`; the sum of absolute values as in `integrated_gradients`.

    Returns:
        (*spatial) map >= 0, or what `reduce` makes; in units of the score. With `reduce=None` the
        values sum to score(image) - score(baseline), but for the error of n steps.

    Raises:
        ValueError: `num_steps` is not above 0, `fraction` or `max_distance` is outside its range,
            or several targets.

    Source: Kapishnikov, Venugopalan, Avci, Wedin, Terry, Bolukbasi, CVPR 2021, with the settings of
    the authors' code, which has no anchors either.
    """
    checks.count(num_steps=num_steps)
    checks.positive(fraction=fraction)
    checks.not_negative(max_distance=max_distance)
    for name, value in (("fraction", fraction), ("max_distance", max_distance)):
        if value > 1:
            raise ValueError(f"`{name}` must be at most 1; got {value}.")
    start = perturb.baseline_image(image, baseline)
    way = jnp.asarray(image) - start
    distance = jnp.abs(way).astype(jnp.float32)
    total = distance.sum()
    many = int(fraction * (distance.size - 1))

    def step(state, number):
        at, signed = state
        gradient = gradients(score_fn, (start + at.astype(way.dtype) * way)[None], target)[0]
        size = jnp.nan_to_num(jnp.abs(gradient).astype(jnp.float32))  # NaN would never arrive
        middle = (number + 1) / num_steps
        low, high = jnp.maximum(middle - max_distance, 0), jnp.minimum(middle + max_distance, 1)
        goal = total * (1 - middle)

        def may_move(moved):
            return (moved < high) & (distance > 0)

        def unfinished(moved):
            left = (distance * (1 - moved)).sum() - goal
            return (left > CLOSE * total) & may_move(moved).any()

        def advance(moved):
            sizes = jnp.where(may_move(moved), size, jnp.inf)
            these = may_move(moved) & (sizes <= jnp.sort(sizes, axis=None)[many])
            room = jnp.where(these, distance * (high - moved), 0).sum()
            part = ((distance * (1 - moved)).sum() - goal) / room
            there = jnp.where(part < 1, moved + part * (high - moved), high)
            return jnp.where(these, there, moved)

        moved = while_loop(unfinished, advance, jnp.maximum(at, low))
        return (moved, signed + (moved - at).astype(way.dtype) * way * gradient), None

    nothing = (jnp.zeros_like(distance), jnp.zeros_like(way))
    (_, signed), _ = jax.lax.scan(step, nothing, jnp.arange(num_steps, dtype=jnp.float32))
    return reduced(signed, reduce)
