"""What explaining will cost, said before it begins."""

import inspect
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from saljax.core.ask import ask
from saljax.core.types import ScoreFn
from saljax.core.work import multiplications
from saljax.runs.loop import Ask
from saljax.runs.progress import lasting

LONG = 10.0
"""Seconds from which on it is said how long something will take. Our choice."""


def passes(asks: Sequence[Ask], score_fn: ScoreFn, shape: Sequence[int], targets: int) -> float:
    """Work of explaining one image, in forward passes of it through the classifier.

    Counted in multiplications of the traced methods, so a pass backward counts as what it costs,
    and methods of one's own are counted too.

    Args:
        asks: methods, see `loop.explain_all`.
        score_fn: what scores the images.
        shape: (*spatial, C) of an image.
        targets: classes asked about.

    Returns:
        Their number; 0 where a classifier has no such multiplications, or computes elsewhere.
    """
    image = jax.ShapeDtypeStruct(tuple(shape), jnp.float32)
    one = multiplications(lambda x: ask(score_fn, x[None]), image)
    return sum(_work(asked, score_fn, image, targets) for asked in asks) / one if one else 0.0


def said(passes: float, seconds: float, images: int) -> str:
    """`about 460 passes an image, up to 40 s for 3 images, and the time to compile`.

    Args:
        passes: of one image.
        seconds: that they take one at a time; many at once never take longer.
        images: how many there are.
    """
    number = float(f"{passes:.2g}")
    many = f"{images} images" if images > 1 else "it"
    return (
        f"about {number:.0f} passes an image, up to {lasting(seconds * images)} for {many}, and "
        "the time to compile"
    )


def _work(asked: Ask, score_fn: ScoreFn, image: jax.ShapeDtypeStruct, targets: int) -> int:
    method, subject, one_class = asked.method, asked.explained or score_fn, asked.one_class
    is_random = "key" in inspect.signature(method).parameters
    key = {"key": jax.random.key(0)} if is_random else {}
    separate = one_class or targets == 1
    target = jax.ShapeDtypeStruct(() if separate else (targets,), jnp.int32)
    each = multiplications(lambda x, t: method(subject, x, t, **key), image, target)
    return each * (targets if separate else 1)
