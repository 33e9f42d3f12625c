"""The images of no evidence that the papers of the metrics put in place of pixels."""

import jax.numpy as jnp
import numpy as np

from saljax.core.types import Image
from saljax.ops import images

IMAGENET_MEAN = (0.485, 0.456, 0.406)


def rise_blur(image: Image) -> Image:
    """RISE's start of insertion: 11 x 11 pixels, sigma 5.

    Its code makes the kernel by filtering a point in a window of 11 pixels with reflection at the
    ends. This folds the Gaussian's tails back into the window: what comes out is nearly flat.

    Args:
        image: (*spatial, C).

    Returns:
        (*spatial, C).

    Source: RISE's `evaluation.py`. There zeros, the mean color, stand outside the image.
    """
    offsets = np.arange(11)[None] - 5 + 11 * np.arange(-2, 3)[:, None]
    folded = np.where(np.abs(offsets) <= 4 * 5, np.exp(-(offsets**2) / (2 * 5**2)), 0.0)
    return images.window_blur(image, folded.sum(axis=0))


def imagenet_mean(image: Image) -> Image:
    """ImageNet's mean color: what 0 means after the usual preprocessing.

    Raises:
        ValueError: the image has not three channels.
    """
    if image.shape[-1] != 3:
        raise ValueError(
            f"ImageNet's mean color has three channels and this image {image.shape[-1]}; "
            "`perturb.mean_color` fits any."
        )
    return jnp.broadcast_to(jnp.asarray(IMAGENET_MEAN, jnp.result_type(image)), image.shape)
