"""How an activation becomes (*spatial, channels)."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from jaxtyping import Array, Float

from saljax.core.axes import CHANNELS, Tokens
from saljax.core.survey import Activation, Survey
from saljax.core.types import Image

EXTRA = 8
"""So many tokens at most may come before those of the patches. Our choice."""

ToSpatial = Callable[[Float[Array, "..."]], Float[Array, "*spatial channels"]]
"""A linear function that makes an activation (*spatial, channels), without the axis of images: of
channels first `lambda a: jnp.moveaxis(a, 0, -1)`, of a transformer's tokens
`lambda tokens: tokens[1:].reshape(14, 14, -1)`."""


def spatial(
    activation: Float[Array, "..."], image: Image, layer: str, to_spatial: ToSpatial | None = None
) -> Float[Array, "..."]:
    """An activation as (*spatial, channels), whose places are those of the image.

    Args:
        activation: of a layer, or something of its shape, without the axis of images.
        image: (*spatial, C).
        layer: its name, for the message.
        to_spatial: see `ToSpatial`; None: the activation is (*spatial, channels) itself.

    Returns:
        (*spatial, channels), of the image's rank.

    Raises:
        ValueError: it has another number of axes; or nobody gave `to_spatial`, and what would be
            its spatial axes cannot be those of the image at a lower resolution.
    """
    found = activation if to_spatial is None else to_spatial(activation)
    if found.ndim != image.ndim:
        raise ValueError(
            f"{layer!r} is {found.shape}, an image of this rank needs {image.ndim - 1} spatial "
            "axes and channels; choose another `layer`, or give `to_spatial`, of tokens such as "
            "lambda tokens: tokens[1:].reshape(14, 14, -1)"
        )
    if to_spatial is None and not is_like(found.shape, image.shape[:-1]):
        raise ValueError(
            f"{layer!r} is {found.shape}, which does not go with an image of "
            f"{image.shape[:-1]}: (*spatial, channels) is expected. Channels first? give "
            "to_spatial=lambda a: jnp.moveaxis(a, 0, -1), or say it in the tag (channels=...); "
            "to_spatial=lambda a: a takes it as it is"
        )
    return found


def is_like(shape: Sequence[int], space: Sequence[int]) -> bool:
    """Whether (*spatial, channels) may be an image's at a lower resolution.

    Strides divide all axes alike, up to rounding. Convolutions without padding take the same from
    each, so what the long axis has more than the short one is still divided by the strides alone;
    that they take half of it at most is our choice.
    The first of three axes may be time or slices, which strides treat apart. What is in proportion
    as (channels, *spatial) and not as (*spatial, channels) is the former.

    Args:
        shape: (*spatial, channels) of the activation.
        space: (*spatial) of the image.
    """
    cells = shape[:-1]
    if any(cell > n + 1 for cell, n in zip(cells, space, strict=True)):
        return False
    if _in_proportion(cells, space):
        return True
    if _in_proportion(shape[1:], space):
        return False
    (short, few), (long, many) = sorted(zip(space[-2:], cells[-2:], strict=True))
    low, high = max((few - 1) / short, (many - 1) / long), min(1, 2 * (many + 1) / long)
    return (long - short) * low - 1 < many - few < (long - short) * high + 1


def _in_proportion(cells, space):
    """Whether all lengths are divided by the same number, rounded up or all rounded down."""

    def shares(change):
        return [(cell + change) / n for cell, n in zip(cells, space, strict=True)]

    return max(shares(-1)) < min(shares(0)) or max(shares(0)) < min(shares(1))


def arrangement(made: Activation, seen: Survey, image: Image) -> ToSpatial | None:
    """How an activation becomes (*spatial, channels), as far as its axes are known.

    Tokens (T, C) of which the trace does not say the grid have that of the patches of the first
    convolution, or the only one by patches of p x p, with 0 to 8 tokens before: our choice.
    """
    axes, shape = layout(made)
    if made.told or made.places is None:
        if len(shape) != 2 or image.ndim < 3:
            return None
        tokens = next((axis for axis in axes if isinstance(axis, Tokens)), None)
        tokens = tokens or tiles(shape[0], image.shape[:-1], seen.patch)
        return None if tokens is None else functools.partial(_to_grid, tokens)
    kept = [
        i for i, (axis, n) in enumerate(zip(axes, shape, strict=True)) if axis is not None or n > 1
    ]
    order = sorted(kept, key=lambda i: (axes[i] == CHANNELS, isinstance(axes[i], int) and axes[i]))
    moved = functools.partial(_in_order, tuple(order))
    tokens = axes[order[0]]
    if not isinstance(tokens, Tokens):
        return moved
    return lambda activation: _to_grid(tokens, moved(activation))


def layout(made: Activation) -> tuple[list[Any], tuple[int, ...]]:
    """Axes and shape without that of images: as a tag has it, else without empty axes."""
    own = range(len(made.shape)) if made.tag is not None else made.own
    own = [i for i in own if i != made.images]
    return [made.axes[i] for i in own], tuple(made.shape[i] for i in own)


def _in_order(order, activation):
    others = [i for i in range(activation.ndim) if i not in order]
    moved = activation.transpose(*others, *order)
    return moved.reshape(moved.shape[len(others) :])


def _to_grid(tokens, activation):
    places = activation[tokens.before : tokens.before + math.prod(tokens.grid)]
    return places.reshape(*tokens.grid, -1)


def tiles(number: int, space: Sequence[int], patch: tuple[int, ...] | None) -> Tokens | None:
    """The grid of so many tokens of an image; None if there is none such, or several.

    Args:
        number: of tokens, up to `EXTRA` of them before those of the patches.
        space: (*spatial) of the image.
        patch: the size of a patch; None: any that is as long on each axis and tiles the image.
    """
    sides = [patch] if patch else [(p,) * len(space) for p in range(1, max(space) + 1)]
    grids = [
        tuple(n // p for n, p in zip(space, side, strict=True))
        for side in sides
        if len(side) == len(space)
        and (patch or not any(n % p for n, p in zip(space, side, strict=True)))
    ]
    found = [Tokens(grid, number - math.prod(grid)) for grid in grids]
    found = [
        tokens for tokens in found if 0 <= tokens.before <= EXTRA and math.prod(tokens.grid) > 1
    ]
    return found[0] if len(found) == 1 else None
