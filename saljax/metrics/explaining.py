"""Metrics that explain again: a method with its key, and what a map of it must be."""

import functools
import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import keys
from saljax.core.types import Image, Method, ScoreFn, Target
from saljax.metrics import inputs

Explain = Callable[[ScoreFn, Image, Target], Float[Array, "*spatial"]]


def with_key(method: Method, key: keys.RandomKey | None) -> Explain:
    """A method that draws the same at every call, so that two maps differ by what they are of.

    Args:
        method: method(score_fn, image, target, *, ...) -> (*spatial).
        key: for a random method that has none yet; `jax.random.key(0)` if None.

    Returns:
        (score_fn, image, target) -> (*spatial) float32, NaN where it is infinite; it raises
        ValueError where the method gives no such map.
    """
    given = method.keywords if isinstance(method, functools.partial) else {}
    random = "key" in inspect.signature(method).parameters and "key" not in given
    own = {"key": jax.random.key(0) if key is None else keys.own(key)} if random else {}

    def explain(score_fn, image, target):
        return inputs.map_of(image, jnp.asarray(method(score_fn, image, target, **own)), target)

    return explain
