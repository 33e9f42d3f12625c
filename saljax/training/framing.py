"""Pictures of known classes, as one classifier takes them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from saljax.data import folders
from saljax.data.frames import Frames
from saljax.data.labelled import Labelled
from saljax.models.zoo import ModelInfo


class Framed(NamedTuple):
    """Pictures as one classifier takes them.

    Attributes:
        train: frames to cut from; see `framed`.
        held_out: as the classifier sees them when it is explained.
        classes: names.
        side: of what the classifier takes, in pixels.
    """

    train: Frames
    held_out: Frames
    classes: tuple[str, ...]
    side: int


def framed(
    data: Labelled,
    about: ModelInfo,
    image_size: int | None,
    complain: Callable[[str, str], None],
    advance: Callable[[], None],
) -> Framed:
    """Frame pictures for a classifier.

    Held-out pictures as `saljax explain` frames them. Pictures to learn from are cut out of a
    larger frame: the square of the short side's length around the center; or where the classifier
    squeezes the whole picture into a square, of that.

    Args:
        data: the pictures.
        about: the classifier.
        image_size: side in pixels of what it takes, if not its usual one; then what is resized
            before is in proportion.
        complain: called with the name of each picture that cannot be read, and why.
        advance: called after each picture.

    Raises:
        ValueError: it takes no pictures, or of a class no picture to learn from can be read, or
            none to test on.
    """
    if about.resize is None:
        raise ValueError(f"{about.name} takes no pictures; see `saljax models`")
    side = image_size or about.input_shape[0]
    resize = round(about.resize * side / about.input_shape[0])
    whole, crop = (None, None) if about.crop is None else (resize, side)
    train = Frames(
        data.train, lambda p: folders.prepare(p, resize, whole), resize, complain, advance
    )
    held_out = Frames(
        data.held_out, lambda p: folders.prepare(p, resize, crop), side, complain, advance
    )
    seen = np.bincount(train.labels, minlength=len(data.classes))
    if not seen.all():
        name = data.classes[int(seen.argmin())]
        raise ValueError(f"no picture of the class {name} to learn from can be read")
    if not len(held_out):
        raise ValueError("no pictures to test on; expected classes of two pictures or more")
    return Framed(train, held_out, data.classes, side)
