"""What a long run will cost, said before it begins."""

import time
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from saljax.core.types import ScoreFn
from saljax.evaluation.measures import Measure
from saljax.runs import loop
from saljax.runs.progress import lasting

LONG = 20_000
"""Passes from which on something is said. Our choice."""
AT_ONCE = 32
"""Images that metrics score at a time, by default."""


def estimate(
    measures: Sequence[Measure], methods: int, images: int, score_fn: ScoreFn, image: jax.Array
) -> str:
    """How many passes through the classifier metrics take, and how long these are.

    Args:
        measures: metrics.
        methods: number of them.
        images: number of those that are left.
        score_fn: the classifier.
        image: (1, *spatial, C), to measure its speed on.

    Returns:
        `some 200 passes a map (insertion_deletion 58, ...), 480,000 for 6 methods and 400 images:
        2.2 h, and the maps themselves`; "" for few passes.
    """
    passes = {measure.name: measure.passes for measure in measures if measure.passes}
    total = sum(passes.values()) * methods * images
    if total < LONG:
        return ""
    most = sorted(passes, key=passes.__getitem__, reverse=True)
    named = ", ".join(f"{name} {passes[name]}" for name in most)
    seconds = total * _seconds_a_pass(score_fn, image)
    return (
        f"some {sum(passes.values())} passes through the classifier a map ({named}), {total:,} for "
        f"{methods} methods and {images} images: about {lasting(seconds)}, and the maps themselves"
    )


def _seconds_a_pass(score_fn: ScoreFn, image: jax.Array) -> float:
    images = jnp.repeat(image, AT_ONCE, axis=0)
    loop.wait(loop.score(score_fn, images))  # compiles
    start = time.perf_counter()
    loop.wait(loop.score(score_fn, images))
    return (time.perf_counter() - start) / AT_ONCE
