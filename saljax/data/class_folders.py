"""Pictures in one folder a class."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from saljax.data import folders, labelled
from saljax.data.labelled import Labelled, Pictures

HELD_OUT = ("val", "validation", "test")


def read_classes(
    folder: Path,
    share: float = 0.2,
    seed: int = 0,
    complain: Callable[[Path, str], None] = lambda path, problem: None,
) -> Labelled:
    """Find pictures in FOLDER/CLASS, or in FOLDER/train/CLASS and FOLDER/val/CLASS.

    The classes are the folders that have pictures directly inside, in order of their names; of
    other files no notice is taken. Beside `train` the first of `val`, `validation` and `test` is
    what is tested on, and its classes must be among those of `train`.

    Args:
        folder: an existing directory.
        share: of each class that is kept back where the folder has no split, see `labelled.split`.
            0.2 is our choice.
        seed: of that choice.
        complain: called with each class folder that has no pictures, which is then left out.

    Returns:
        The pictures, named by their paths, and the names of the classes. No picture is opened.

    Raises:
        ValueError: no such folder, fewer than two classes, or one that is only tested on.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    train, apart = folder / "train", None
    if train.is_dir() and _inside(train):
        apart = next((folder / name for name in HELD_OUT if (folder / name).is_dir()), None)
    else:
        train = folder
    found = _pictures(train, complain)
    classes = tuple(found)
    pictures = _labelled(found, classes)
    if apart is None:
        return Labelled(*labelled.split(pictures, share, seed), classes)
    tested = _pictures(apart, complain, least=1)
    unknown = sorted(set(tested) - set(classes))
    if unknown:
        raise ValueError(f"{apart / unknown[0]}: no class of {train}")
    return Labelled(pictures, _labelled(tested, classes), classes)


def _inside(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _pictures(
    folder: Path, complain: Callable[[Path, str], None], least: int = 2
) -> dict[str, list[Path]]:
    found = {}
    for place in _inside(folder):
        try:
            found[place.name] = folders.list_images(place)
        except folders.UnreadableImage as error:
            complain(place, str(error))
    if len(found) < least:
        what = f"only one class ({', '.join(found)})" if found else "no folders with pictures"
        raise ValueError(f"{folder}: {what}; expected two folders or more, CLASS/*.jpg")
    return found


def _labelled(found: dict[str, list[Path]], classes: tuple[str, ...]) -> Pictures:
    paths = [path for name in found for path in found[name]]
    labels = [classes.index(name) for name in found for _ in found[name]]
    return Pictures(
        [str(path) for path in paths],
        np.array(labels, np.int32),
        lambda index: folders.read_image(paths[index]),
    )
