"""Taking pixels away: the perturbation and the images of no evidence that replace them."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Key, Num

from saljax.ops import images as image_ops
from saljax.ops import sizes

Image = Float[Array, "*spatial channels"]


def perturb(
    image: Image,
    mask: Float[Array, "*spatial"],
    baseline: Num[Array, "..."] | float | Callable[[Image], Num[Array, "..."]] = 0.0,
) -> Image:
    """Keep the image where the mask is 1, show the baseline where it is 0.

    psi(I, M, B) = I * M + B * (1 - M)

    Args:
        image: I, (*spatial, C).
        mask: M, (*spatial) in [0, 1].
        baseline: B, anything that broadcasts to the image (0.0 is black, (C,) one color, an image
            of the same shape), or a function of the image such as `mean_color` or `blurred(10.)`.

    Returns:
        (*spatial, C).

    Raises:
        ValueError: `mask` has another shape than the image without its channels.
    """
    if mask.shape != image.shape[:-1]:
        raise ValueError(
            f"`mask` must have the image's spatial shape, {image.shape[:-1]}; got {mask.shape}."
        )
    return blend(image, mask, baseline_image(image, baseline))


def blend(image: Image, mask: Float[Array, "*spatial"], baseline_image: Image) -> Image:
    """`perturb` with the baseline already an image, so that many masks share it."""
    wide = _single_or_double(jnp.result_type(image))  # a mask is finer than half precision
    image_, keep, nothing = (x.astype(wide) for x in (image, mask[..., None], baseline_image))
    return (image_ * keep + nothing * (1 - keep)).astype(jnp.result_type(image))


def baseline_image(
    image: Image, baseline: Num[Array, "..."] | float | Callable[[Image], Num[Array, "..."]]
) -> Image:
    """The baseline as an image of the same shape and dtype.

    Raises:
        ValueError: the image is of integers, or the baseline does not broadcast to it.
    """
    image_ops.check(image, one=True)
    given = baseline(image) if callable(baseline) else baseline
    if isinstance(given, str):
        raise ValueError(f"`baseline` must be numbers or a function of the image; got {given!r}.")
    values = jnp.asarray(given, jnp.result_type(image))
    own = (1,) * (image.ndim - values.ndim) + values.shape
    if len(own) != image.ndim or any(
        n not in (1, m) for n, m in zip(own, image.shape, strict=True)
    ):
        raise ValueError(
            f"`baseline` must broadcast to the image, {image.shape}: a number, a color "
            f"({image.shape[-1]},) or an image; got shape {values.shape}."
        )
    return jnp.broadcast_to(values.reshape(own), image.shape)


def baseline_images(
    image: Image, baselines: Num[Array, "baselines ..."] | Num[np.ndarray, "baselines ..."] | float
) -> Num[Array, "baselines ..."]:
    """Several baselines, (B, *spatial, C) in the dtype of the image; one number is a single one.

    Raises:
        ValueError: they are no images like the one explained.
    """
    given = jnp.asarray(baselines, jnp.result_type(image))
    given = jnp.broadcast_to(given, (1, *image.shape)) if given.ndim == 0 else given
    if given.shape[1:] != image.shape or len(given) == 0:
        raise ValueError(
            f"`baselines` must be images like the one explained, (B, {str(image.shape)[1:]}; got "
            f"{given.shape}."
        )
    return given


def black(image: Image) -> Image:
    """RGB 0 everywhere: no light."""
    return jnp.zeros_like(image)


def mean_color(image: Image) -> Image:
    """The image's own mean color everywhere."""
    return jnp.broadcast_to(image.mean(tuple(range(image.ndim - 1)), keepdims=True), image.shape)


def blurred(sigma: float | Sequence[float]) -> Callable[[Image], Image]:
    """The image blurred with standard deviation `sigma` pixels: colors stay, details go.

    One number, or one an axis of the image.
    """
    return Partial(image_ops.blur, sigma=sigma)


def noise(image: Image, key: Key[Array, ""], *, mean: float = 0.5, std: float = 0.2) -> Image:
    """Independent Gaussian noise in every value, clipped to [0, 1]. The defaults are our choice."""
    away = jax.random.normal(key, image.shape, jnp.float32)
    return jnp.clip(mean + std * away, 0.0, 1.0).astype(jnp.result_type(image))


def random_color(image: Image, key: Key[Array, ""]) -> Image:
    """One color, uniform in [0, 1] a channel, everywhere."""
    shape = (1,) * (image.ndim - 1) + image.shape[-1:]
    color = jax.random.uniform(key, shape, jnp.float32)
    return jnp.broadcast_to(color.astype(jnp.result_type(image)), image.shape)


def blur_pyramid(
    image: Image, num_levels: int, max_blur: float | Sequence[float], color: Image
) -> Float[Array, "levels *spatial channels"]:
    """The image at several strengths of blur, the strongest first and the image itself last.

    Level l is blurred with sigma = max_blur (1 - l / (num_levels - 1)).

    Args:
        image: (*spatial, C).
        num_levels: at least 2.
        max_blur: standard deviation of level 0, in pixels, or one an axis.
        color: what lies around the image, as an image; a wide blur draws it in from the borders.

    Returns:
        (num_levels, *spatial, C).
    """
    spatial = image.shape[:-1]
    widths = sizes.per_axis(max_blur, len(spatial), "max_blur")

    def level(share):
        if share == 0:
            return image
        # `blur` repeats the edge, which is then the color.
        framed = jnp.pad(image - color, [*[(1, 1)] * len(spatial), (0, 0)])
        sigmas = [width * share for width in widths]
        return image_ops.blur(framed, sigmas)[(slice(1, -1),) * len(spatial)] + color

    shares = [1 - number / (num_levels - 1) for number in range(num_levels)]
    return jnp.stack([level(share) for share in shares])


def between(
    levels: Float[Array, "levels *spatial channels"], mask: Float[Array, "*spatial"]
) -> Image:
    """Each pixel from the level that its mask picks: 0 the first, 1 the last, linear between.

    With two levels this is `blend`.

    Args:
        levels: (L, *spatial, C), such as a `blur_pyramid`.
        mask: (*spatial) in [0, 1].

    Returns:
        (*spatial, C).
    """
    wide = _single_or_double(levels.dtype)
    position = mask.astype(wide) * (len(levels) - 1)
    lower = jnp.clip(jnp.floor(jax.lax.stop_gradient(position)), 0, len(levels) - 2)
    share = (position - lower)[..., None]

    def at(number):
        index = number.astype(jnp.int32)[None, ..., None]
        return jnp.take_along_axis(levels, index, 0)[0].astype(wide)

    return (at(lower) * (1 - share) + at(lower + 1) * share).astype(levels.dtype)


def _single_or_double(dtype):
    return dtype if dtype.itemsize >= 4 else jnp.float32
