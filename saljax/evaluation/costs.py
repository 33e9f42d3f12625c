"""What a long run will cost, said before it begins."""

import contextlib
import time
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from saljax.core.types import ScoreFn
from saljax.evaluation.measures import Measure
from saljax.evaluation.rows import Row
from saljax.runs import cost, loop
from saljax.runs.progress import lasting

MANY = 100
"""Maps from which on it is worth finding out what they cost. Our choice."""
AT_ONCE = 32
"""Images that metrics score at a time, by default."""
NAMED = 5
"""Most methods or metrics that are named. Our choice."""


def estimate(
    rows: Sequence[Row],
    measures: Sequence[Measure],
    images: int,
    score_fns: Mapping[str, ScoreFn],
    image: jax.Array,
) -> str:
    """How many passes through the classifier are to come, and how long these take.

    Args:
        rows: methods; what they cost is counted by `cost.passes`.
        measures: metrics; of those that explain again it is not known.
        images: number of those that are left.
        score_fns: the classifier's "logits" and "probabilities".
        image: (1, *spatial, C), to measure its speed on.

    Returns:
        `about 860 passes through the classifier an image (rise 8000, ...; of each map
        insertion_deletion 58, ...), 40 min for 400 images`; "" where that is not long.
    """
    if len(rows) * images < MANY:
        return ""
    of_maps: dict[str, float] = {}
    for row in rows:
        asked = [loop.Ask(row.method, score_fns[row.explains], one_class=True)]
        with contextlib.suppress(ValueError):  # one that refuses says so when it is asked
            of_maps[row.name] = cost.passes(asked, score_fns["logits"], image.shape[1:], 1)
    of_metrics = {measure.name: float(measure.passes) for measure in measures}
    passes = sum(of_maps.values()) + len(rows) * sum(of_metrics.values())
    seconds = passes * images * _seconds_a_pass(score_fns["logits"], image)
    if seconds < cost.LONG:
        return ""
    return (
        f"about {passes:.0f} passes through the classifier an image ({_most(of_maps)}; of each map "
        f"{_most(of_metrics)}), {lasting(seconds)} for {images} images, and the time to compile"
    )


def _most(passes: Mapping[str, float]) -> str:
    most = sorted(passes, key=passes.__getitem__, reverse=True)[:NAMED]
    return ", ".join(f"{name} {passes[name]:.0f}" for name in most if passes[name] >= 0.5) or "none"


def _seconds_a_pass(score_fn: ScoreFn, image: jax.Array) -> float:
    images = jnp.repeat(image, AT_ONCE, axis=0)
    loop.wait(loop.score(score_fn, images))  # compiles
    start = time.perf_counter()
    loop.wait(loop.score(score_fn, images))
    return (time.perf_counter() - start) / AT_ONCE
