"""Which axes of an activation are those of the image."""

from collections.abc import Callable, Sequence

from jaxtyping import Array, Float

from saljax.core.types import Image

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
            "axes and channels; choose another `layer`, or give `to_spatial`"
        )
    if to_spatial is None and not is_like(found.shape, image.shape[:-1]):
        raise ValueError(
            f"{layer!r} is {found.shape}, which does not go with an image of "
            f"{image.shape[:-1]}: (*spatial, channels) is expected. Channels first? give "
            "to_spatial=lambda a: jnp.moveaxis(a, 0, -1); to_spatial=lambda a: a takes it as it is"
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
