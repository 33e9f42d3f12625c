"""Images that an explainer learns from and is tested on."""

import hashlib
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from saljax.ops import images as image_ops
from saljax.training.ahead import Source


class Shown(NamedTuple):
    """Images to learn from and images to test on.

    Attributes:
        train: where they never repeat, as many as make up an epoch.
        held_out: as the explainer will see them; None without any.
        about: what they are, as JSON.
        endless: `train` has an image for any row.
    """

    train: Source
    held_out: Source | None
    about: dict[str, Any]
    endless: bool = False


def of_arrays(images: Any, held_out: Any, seed: int) -> Shown:
    """Images in memory.

    Args:
        images: (N, *spatial, C) in [0, 1].
        held_out: images to test on, or the share of `images` that is kept back for it, 0 for none.
        seed: of what is kept back.

    Raises:
        ValueError: images of integers, a share outside [0, 1), or too few images.
    """
    train = _floats(images)
    if np.ndim(held_out):
        tested = _floats(held_out)
    else:
        back = kept_back(len(train), float(held_out), seed)
        train, tested = train[~back], train[back]
    digest = hashlib.sha256()
    for part in (train, tested):
        digest.update(part.data)
    numbers = {"images": len(train), "held_out": len(tested)}
    about = numbers | {"sha256_of_images": digest.hexdigest()}
    return Shown(train, tested if len(tested) else None, about)


def _floats(images):
    image_ops.check(jnp.asarray(images[:1]))
    return np.ascontiguousarray(images, np.float32)


def kept_back(number: int, share: float, seed: int) -> np.ndarray:
    """Which of so many images are tested on: a share of them, rounded, one at least.

    Raises:
        ValueError: a share outside [0, 1), or nothing left to learn from.
    """
    if not 0 <= share < 1:
        raise ValueError(f"`held_out` must be images, or a share in [0, 1); got {share}.")
    if number < (2 if share else 1):
        raise ValueError(f"an explainer needs more images to learn from; got {number}.")
    back = np.zeros(number, bool)
    tested = min(max(round(share * number), 1), number - 1) if share else 0
    back[np.random.default_rng(seed).permutation(number)[:tested]] = True
    return back
