"""Pictures that explainers learn from: of folders and data sets, and drawn ones."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saljax.data import class_folders, folders, tfds_sources
from saljax.data.frames import Frames
from saljax.data.generated import birdlets
from saljax.data.labelled import Pictures
from saljax.models.zoo import ModelInfo
from saljax.training.ahead import Source
from saljax.training.shown import Shown, kept_back


def found(
    data: str, share: float, seed: int, complain: Callable[[Any, str], None]
) -> tuple[Pictures, ...]:
    """Pictures of a folder or of a data set; none is opened.

    Args:
        data: a folder of pictures; one of class folders, whose labels are of no use here; or
            `tfds:NAME`.
        share: kept back to test on, where the data have no split of their own.
        seed: of what is kept back.
        complain: called with what is left out, and why.

    Returns:
        Those to learn from and those to test on; or all of them, not yet parted.

    Raises:
        ValueError: no such data, or too few pictures.
    """
    if data.startswith("tfds:"):
        of_classes = tfds_sources.read_tfds(data.removeprefix("tfds:"), share, seed)
        return of_classes.train, of_classes.held_out
    folder = Path(data)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    paths = [path for path in sorted(folder.iterdir()) if folders.is_picture(path)]
    if not paths:
        of_classes = class_folders.read_classes(folder, share, seed, complain)
        return of_classes.train, of_classes.held_out
    labels = np.zeros(len(paths), np.int32)
    return (Pictures([*map(str, paths)], labels, lambda row: folders.read_image(paths[row])),)


def framed(
    pictures: Sequence[Pictures],
    about: ModelInfo,
    share: float,
    seed: int,
    complain: Callable[[Any, str], None],
    advance: Callable[[], None],
) -> Shown:
    """Pictures as `saljax explain` shows them to a classifier.

    Args:
        pictures: to learn from and to test on, or all of them.
        about: the classifier.
        share: kept back of all that can be read, to test on.
        seed: of what is kept back.
        complain: called with the name of each picture that cannot be read, and why.
        advance: called after each picture.

    Raises:
        ValueError: the classifier takes no pictures, or none to learn from can be read.
    """
    side, digest = _side(about), hashlib.sha256()

    def prepare(picture):
        return folders.prepare(picture, about.resize or side, about.crop)

    frames = [Frames(part, prepare, side, complain, advance) for part in pictures]
    if not len(frames[0]):
        raise ValueError("no picture to learn from can be read")
    for name in [name for part in frames for name in (*part.names, "")]:
        digest.update(f"{Path(name).name}\n".encode())
    if len(frames) == 1:
        back = kept_back(len(frames[0]), share, seed)
        train, held_out = (Part(frames[0], np.flatnonzero(rows)) for rows in (~back, back))
    else:
        train, held_out = frames
    numbers = {"images": len(train), "held_out": len(held_out)}
    about_them = numbers | {"sha256_of_names": digest.hexdigest()}
    return Shown(train, held_out if len(held_out) else None, about_them)


@dataclass(frozen=True)
class Part:
    """Some of the images of a source."""

    source: Source
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.source[self.places[rows]]


@dataclass(frozen=True)
class Drawn:
    """Birdlets drawn when they are asked for, an image for any row."""

    seed: int
    first: int
    number: int
    side: int

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, rows: Any) -> np.ndarray:
        indices = (self.first + int(row) for row in rows)
        return np.stack([birdlets.sample(self.seed, i, size=self.side).image for i in indices])


def generated(about: ModelInfo, number: int, share: float, seed: int) -> Shown:
    """Birdlets that never repeat; those that are tested on are drawn from other places.

    Args:
        about: the classifier.
        number: that make up an epoch.
        share: of `number`, how many more are tested on.
        seed: of the birdlets. The bundled classifier learned from seed 0.

    Raises:
        ValueError: the classifier takes no pictures.
    """
    side, tested = _side(about), round(share * number)
    held_out = Drawn(seed, 2**40, tested, side)[range(tested)] if tested else None
    about_them = {"generated": "birdlets", "images": number, "held_out": tested}
    return Shown(Drawn(seed, 0, number, side), held_out, about_them, endless=True)


def _side(about: ModelInfo) -> int:
    if about.resize is None:
        raise ValueError(f"{about.name} takes no pictures; see `saljax models`")
    return about.input_shape[0]
