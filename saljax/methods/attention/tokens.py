"""Where a transformer's attention is tagged, and which of its tokens are places of the image.

A classifier tags of each block, with `saljax.tag`, in the order of the blocks:

- `NAME.attention`: probabilities after the softmax (N, heads, T, T), a row a query;
- `NAME.tokens`: the block's output (N, T, width), which LeGrad reads beside it.

Tokens of no place, such as a class token and registers, come first; the patches follow in the
order of the image's axes, the last one running fastest. Fused attention never forms the
probabilities: the explicit form is needed.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import taps
from saljax.core.types import Image, Saliency
from saljax.ops import images

Pooling = Literal["class", "mean"] | None
Square = Float[Array, "tokens tokens"]

MOST = 16
"""Tokens of no place that are looked for where no grid is given; our choice."""


def layers_of(
    there: Mapping[str, tuple[int, ...]], layers: Sequence[str] | None
) -> tuple[str, ...]:
    """Names of the attention tags, in the order in which they are computed.

    Args:
        there: all tags, see `saljax.core.taps.tagged`.
        layers: of them; None: all whose names end in `attention`.

    Raises:
        ValueError: there are none; or one is not (heads, T, T).
    """
    wanted = [n for n in there if n.endswith("attention")] if layers is None else list(layers)
    if not wanted:
        raise ValueError(
            "`score_fn` tags no attention: probabilities (N, heads, T, T) are read where a tag's "
            f"name ends in 'attention' (it tags {', '.join(there) or 'nothing'}). Tag them inside "
            "the model with saljax.tag(x, 'block0.attention'), or give `layers`"
        )
    for name in wanted:
        shape = taps.shape_of(there, name, "layers")
        if len(shape) != 3 or shape[1] != shape[2]:
            raise ValueError(f"attention is (heads, T, T), a row a query; {name!r} is {shape}")
    return tuple(sorted(wanted, key=list(there).index))


def grid_of(number: int, image: Image, grid: Sequence[int] | None) -> tuple[int, ...]:
    """Patches along each spatial axis of an image.

    Args:
        number: of tokens.
        image: (*spatial, C).
        grid: given; None: in the proportions of the image, so that as few tokens as can be, at
            most `MOST`, are of no place. A signal has no proportions.

    Raises:
        ValueError: no grid fits.
    """
    space = image.shape[:-1]
    if grid is not None:
        if len(grid) != len(space) or not 0 < math.prod(grid) <= number:
            raise ValueError(
                f"`patches` must have a number for each of {len(space)} axes, together at most the "
                f"{number} tokens; got {tuple(grid)}"
            )
        return tuple(grid)
    if len(space) == 1:
        raise ValueError(
            f"{number} tokens of a signal may have any number of others before them; give "
            "`patches`, their number"
        )
    unit = [length // math.gcd(*space) for length in space]
    for patches in range(number, max(number - MOST, 1) - 1, -1):
        times = round((patches / math.prod(unit)) ** (1 / len(unit)))
        if times ** len(unit) * math.prod(unit) == patches:
            return tuple(times * length for length in unit)
    raise ValueError(
        f"{number} tokens are no grid in the proportions of an image of {space}, with up to {MOST} "
        "tokens of no place before them; give `patches`, their number along each axis"
    )


def row_of(matrix: Square, number: int, pooling: Pooling) -> Float[Array, " patches"]:
    """What the query behind the scores takes from each of the last `number` tokens, the patches.

    Args:
        matrix: (T, T), a row a query.
        number: of patches.
        pooling: the query: the first token, or the mean of all patches, as the classifier's head
            has it; None: the former where there are tokens of no place.

    Raises:
        ValueError: another pooling.
    """
    if pooling not in ("class", "mean", None):
        raise ValueError(f"`pooling` must be 'class', 'mean' or None; got {pooling!r}")
    first = len(matrix) - number
    if pooling is None:
        pooling = "class" if first else "mean"
    row = matrix[0] if pooling == "class" else matrix[first:].mean(axis=0)
    return row[first:]


def finish(
    row: Float[Array, " patches"], grid: Sequence[int], image: Image, resize: bool
) -> Saliency:
    """A number a patch as a map, at the size of the image if `resize`."""
    saliency = row.reshape(grid).astype(jnp.float32)
    return images.resize(saliency, image.shape[:-1]) if resize else saliency
