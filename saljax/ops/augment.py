"""Training pictures seen from elsewhere: mirrored, and cut out at random."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

RATIO = 4 / 3
"""Most that a side of a cutting is longer than the other. Source: Szegedy et al., see
`random_resized_crop`."""


def mirror(
    images: Float[Array, "batch height width channels"], key: Key[Array, ""]
) -> Float[Array, "batch height width channels"]:
    """Swap left and right of each image with probability 1/2."""
    swap = jax.random.bernoulli(key, shape=(len(images), 1, 1, 1))
    return jnp.where(swap, images[:, :, ::-1], images)


def random_resized_crop(
    images: Float[Array, "batch height width channels"],
    key: Key[Array, ""],
    side: int,
    least_area: float,
) -> Float[Array, "batch side side channels"]:
    """Cut a rectangle out of each image at random and resize it to a square.

        area ~ U(least_area, 1),  log ratio ~ U(-log 4/3, log 4/3)
        height = min(1, sqrt(area / ratio)),  width = min(1, sqrt(area ratio))

    in units of the image's height and width, at a place uniform over those where it fits.
    Bilinear, antialiased where it shrinks.

    Args:
        images: (N, height, width, channels).
        key: for all images together.
        side: of the squares that come out, in pixels.
        least_area: smallest share of the image that is seen, in (0, 1].

    Returns:
        (N, side, side, channels).

    Source: Szegedy et al., "Going deeper with convolutions", CVPR 2015, section 6, with
    `least_area` 0.08. Deviation: a rectangle that is too long is cut off, not drawn again, and
    the interpolation is always bilinear.
    """
    number, height, width, channels = images.shape
    of_area, of_ratio, of_place = jax.random.split(key, 3)
    area = jax.random.uniform(of_area, (number,), minval=least_area, maxval=1.0)
    log = np.float32(np.log(RATIO))
    ratio = jnp.exp(jax.random.uniform(of_ratio, (number,), minval=-log, maxval=log))
    share = jnp.minimum(1, jnp.sqrt(jnp.stack([area / ratio, area * ratio], axis=1)))
    start = jax.random.uniform(of_place, (number, 2)) * (1 - share)
    lengths = np.array([[height, width]], np.float32)
    scale = side / (share * lengths)

    def cut(image, scale, translation):
        shape = (side, side, channels)
        return jax.image.scale_and_translate(image, shape, (0, 1), scale, translation, "linear")

    return jax.vmap(cut)(images, scale, -start * lengths * scale)
