"""Scores from what a network returns: one of several outputs, values, a map of classes."""

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from saljax.core.ask import answer, names_in
from saljax.core.scores import as_pytree
from saljax.core.types import Images, ScoreFn


@dataclasses.dataclass(frozen=True)
class _Select:
    which: str | int

    def __call__(self, fn, images):
        return taken(answer(fn, images), self.which)


def select(fn: Callable[[Images], Any], output: str | int) -> ScoreFn:
    """One output of a network that has several.

    Args:
        fn: images (N, *spatial, C) -> a dictionary, tuple, list or record of outputs, such as
            those of transformers.
        output: its name, or its place.

    Returns:
        Function of images that returns it, a score function where it is (N, K).

    Raises:
        ValueError: when it is called: `fn` has no such output; the message lists those it has.
    """
    return Partial(_Select(output), as_pytree(fn))


def taken(found: Any, output: str | int | None) -> Any:
    """One of several outputs; what was found itself where `output` is None.

    Raises:
        ValueError: there is none of this name or at this place.
    """
    if output is None:
        return found
    names = names_in(found)
    if output in names:
        if isinstance(found, Mapping | tuple | list) and not hasattr(found, "_fields"):
            return found[output]  # pyright: ignore[reportArgumentType, reportCallIssue]
        return getattr(found, str(output))
    if isinstance(output, int) and -len(names) <= output < len(names):
        return taken(found, names[output])
    near = difflib.get_close_matches(str(output), [str(name) for name in names], n=1)
    meant = f"; did you mean {near[0]!r}?" if near else "."
    there = ", ".join(repr(name) for name in names) or f"one {type(found).__name__}"
    raise ValueError(f"`score_fn` has no output {output!r}{meant} It has {there}.")


def _regression(fn, images):
    values = jnp.asarray(answer(fn, images))
    return values[:, None] if values.ndim == 1 else values


def regression(fn: Callable[[Images], Float[Array, "batch *values"]]) -> ScoreFn:
    """Values that a network predicts, such as an age, as scores.

    The map of target k says what raises value k; what lowers it is negative where a map is signed.

    Args:
        fn: images (N, *spatial, C) -> values (N,) or (N, K).

    Returns:
        Score function (N, 1) or (N, K).
    """
    return Partial(_regression, as_pytree(fn))


def _mean_over_space(fn, region, images):
    scores = jnp.asarray(answer(fn, images))
    if scores.ndim < 3:
        raise ValueError(
            f"`score_fn` must return a map of scores (N, *spatial, K); got shape {scores.shape}."
        )
    space = tuple(range(1, scores.ndim - 1))
    if region is None:
        return scores.mean(space)
    if region.shape != scores.shape[1:-1]:
        raise ValueError(
            f"`region` must have the shape of the map of scores, {scores.shape[1:-1]}; got "
            f"{region.shape}."
        )
    region = region[None, ..., None].astype(scores.dtype)
    return (region * scores).sum(space) / region.sum(space)


def mean_over_space(
    fn: Callable[[Images], Float[Array, "batch *spatial classes"]],
    region: Float[Array, "*spatial"] | np.ndarray | None = None,
) -> ScoreFn:
    """Scores of a segmentation network: the mean over its pixels, or over some of them.

    s(k) = sum_x region(x) s(x, k) / sum_x region(x)

    Args:
        fn: images (N, *spatial, C) -> scores (N, *spatial', K), classes last.
        region: weights (*spatial') >= 0, such as 1 in the object that is asked about; None: all.

    Returns:
        Score function (N, K).

    Raises:
        ValueError: when it is called: `fn` gives no map, or one of another shape than `region`.

    Source: the mean is our choice. Vinogradova, Dibrov, Myers, AAAI 2020 (Seg-Grad-CAM), sum over
    the region, a factor that is the same for all pixels of a map; this is from memory, the paper
    was not read.
    """
    region = None if region is None else jnp.asarray(region, jnp.float32)
    return Partial(_mean_over_space, as_pytree(fn), region)
