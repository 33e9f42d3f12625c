"""What explainers in training see where a mask is 0: another background for each image."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from saljax.core.types import Images
from saljax.ops import images as image_ops

SIGMA, RADIUS = 10.0, 27
"""Of the blur, in pixels of a side of 224; less for smaller images. The DRE paper has "variance
10", its metric's code a standard deviation of 10 with a kernel of 55; the masking model's code has
11."""
COLOR, NOISE, ON_TOP = 0.165, 0.055, 0.015
"""Half the range of a random color around gray, standard deviation of the noise added to it, and of
the noise added to what is preserved. From the masking model's code, whose images are in [-1, 1]."""


def random_backgrounds(images: Images, key: Key[Array, ""]) -> Images:
    """One background an image: blurred with probability 1/2, else one random color with noise.

    blur_10(I)    or    U(0.5 - 0.165, 0.5 + 0.165) a channel + N(0, 0.055^2) a value

    Args:
        images: (N, *spatial, C) in [0, 1].
        key: of this batch.

    Returns:
        (N, *spatial, C).

    Source: the DRE paper, section 4.1; the values of color and noise are those of the code of the
    masking model (Dabkowski & Gal, NeurIPS 2017), which DRE shares.
    """
    number, *spatial, channels = images.shape
    of_coin, of_color, of_noise = jax.random.split(key, 3)
    colors = jax.random.uniform(
        of_color, (number, *(1,) * len(spatial), channels), images.dtype, 0.5 - COLOR, 0.5 + COLOR
    )
    colored = colors + NOISE * jax.random.normal(of_noise, images.shape, images.dtype)
    coin = jax.random.bernoulli(of_coin, 0.5, (number, *(1,) * (images.ndim - 1)))
    return jnp.where(coin, blurred(images), colored)


def blurred(images: Images) -> Images:
    """Every image blurred as `SIGMA` says, in proportion to its shortest side."""
    share = min(images.shape[1:-1]) / 224
    sigma, radius = SIGMA * share, max(1, round(RADIUS * share))
    return jax.vmap(lambda image: image_ops.blur(image, sigma, radius))(images)


def blend(images: Images, masks: Float[Array, "batch *spatial"], backgrounds: Images) -> Images:
    """psi(I, M) = I * M + B * (1 - M), image by image."""
    keep = masks[..., None]
    return images * keep + backgrounds * (1 - keep)
