"""What a frozen classifier says of all images, from one pass over them before training."""

import functools
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from saljax.core.compiled import join_arrays
from saljax.methods.learned.explainer import Seen, look
from saljax.runs import devices
from saljax.runs.loop import wait

Parts = tuple[Float[Array, "images ..."], ...]
"""Scores and activations, the coarsest first, of all images; the first of them, or none."""


@runtime_checkable
class Source(Protocol):
    """Images that are had by their rows: an array, or what reads or draws them when asked."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Int[np.ndarray, " taken"], /) -> Any: ...


def looked(
    arrays: Any,
    rest: Any,
    images: Source,
    layers: Sequence[str],
    batch_size: int,
    most_bytes: int,
) -> Parts:
    """Look at all images before training, and keep what fits.

    Kept are the scores, then the activations from the coarsest on, as long as all of it together
    takes at most `most_bytes`, in the memory of the first device. They come in batches that do not
    depend on where training goes on, so they are the same, bit by bit, whenever it does.

    Args:
        arrays: the classifier's, of `split_arrays`.
        rest: the rest of it.
        images: of which each is shown more than once, and always the same.
        layers: names of tagged activations, the coarsest first.
        batch_size: images looked at together.
        most_bytes: of all that is kept.
    """
    number, size = len(images), min(batch_size, len(images))
    first = jnp.asarray(images[np.arange(size)])
    arrays = devices.replicate(arrays, size)
    seen = jax.eval_shape(functools.partial(_look, rest, tuple(layers)), arrays, first)
    parts = [np.empty((number, *part.shape[1:]), part.dtype) for part in _flat(seen)]
    fits = np.cumsum([part.nbytes for part in parts]) <= most_bytes
    parts = parts[: int(fits.sum())]
    for start in range(0, number if parts else 0, size):
        rows = np.arange(start, start + size) % number
        seen = _look(rest, tuple(layers), arrays, devices.shard(jnp.asarray(images[rows])))
        for part, values in zip(parts, _flat(seen), strict=False):
            part[start : start + size] = np.asarray(wait(values))[: number - start]
    return tuple(jnp.asarray(part) for part in parts)


def completed(score_fn: Any, images: Any, layers: Sequence[str], parts: Parts) -> Seen:
    """What was not kept comes from a pass, which the compiler leaves out where nothing reads it."""
    if len(parts) == len(layers) + 1:
        return Seen(parts[0], parts[1:])
    scores, *activations = (*parts, *_flat(look(score_fn, images, layers))[len(parts) :])
    return Seen(scores, tuple(activations))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _look(rest, layers, arrays, images):
    return look(join_arrays(arrays, rest), images, layers)


def _flat(seen):
    return (seen.scores, *seen.activations)
