"""Pictures in one folder a class."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from saljax.data import folders, labelled
from saljax.data.labelled import Labelled, Pictures

TRAIN = ("train", "training")
Complain = Callable[[Path, str], None]


def read_classes(
    folder: Path,
    share: float = 0.2,
    seed: int = 0,
    complain: Complain = lambda path, problem: None,
) -> Labelled:
    """Find pictures in FOLDER/CLASS, or in FOLDER/train/CLASS and FOLDER/val/CLASS.

    The classes are the folders that have pictures directly inside, in order of their names, or of
    the numbers that all names are; of files that are no pictures no notice is taken. Beside `train`
    (or `training`, upper and lower case are the same) the first of `labelled.HELD_OUT` is what is
    tested on, and its classes must be among those of `train`.

    Args:
        folder: an existing directory.
        share: of each class that is kept back where the folder has no split, see `labelled.split`.
            0.2 is our choice.
        seed: of that choice.
        complain: called with each class folder that has no pictures, which is then left out, or
            some that cannot be read; with the folders that are learned from and tested on; and with
            those that are passed over.

    Returns:
        The pictures, named by their paths, and the names of the classes. No picture is opened.

    Raises:
        ValueError: no such folder, fewer than two classes, or one that is only tested on.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    train, apart = _parts(folder, complain)
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


def to_test(folder: Path, complain: Complain = lambda path, problem: None) -> dict[str, list[Path]]:
    """Find pictures to test a classifier on in FOLDER/CLASS, or in FOLDER/val/CLASS.

    Args:
        folder: an existing directory; of its folders of class folders the first of
            `labelled.HELD_OUT` is taken, or where there is none that of `TRAIN`.
        complain: as in `read_classes`.

    Returns:
        Name of the class -> paths, in the order of `read_classes`. No picture is opened.

    Raises:
        ValueError: there is no class folder with pictures.
    """
    with_classes = [one.name for one in _inside(folder) if any_in(one)]
    trained = next((name for name in with_classes if name.casefold() in TRAIN), None)
    name = labelled.first_held_out(with_classes) or trained
    if name is None:
        return _pictures(folder, complain, least=1)
    others = [one for one in with_classes if one != name]
    complain(folder, f"testing on {name}" + (f"; {_passed_over(others)}" if others else ""))
    return _pictures(folder / name, complain, least=1)


def any_in(folder: Path) -> bool:
    """Whether a folder has folders with pictures directly inside."""
    return any(map(_has_pictures, _inside(folder)))


def _parts(folder: Path, complain: Complain) -> tuple[Path, Path | None]:
    """What is learned from, and what is tested on where that lies apart."""
    inside = _inside(folder)
    train = next((one for one in inside if one.name.casefold() in TRAIN and _inside(one)), None)
    if train is None:
        return folder, None
    with_classes = [one.name for one in inside if any_in(one)]
    name = labelled.first_held_out(with_classes)
    passed = [one.name for one in inside if one.name not in (train.name, name)]
    text = f"learning from {train.name}, testing on {name or 'a part of it'}"
    complain(folder, f"{text}; {_passed_over(passed)}" if passed else text)
    return train, None if name is None else folder / name


def _inside(folder: Path) -> list[Path]:
    found = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")]
    if all(path.name.isdecimal() for path in found):
        return sorted(found, key=lambda path: (int(path.name), path.name))
    return sorted(found)


def _has_pictures(folder: Path) -> bool:
    return any(map(folders.is_picture, folder.iterdir()))


def _pictures(folder: Path, complain: Complain, least: int = 2) -> dict[str, list[Path]]:
    found, deeper = {}, []
    for place in _inside(folder):
        try:
            found[place.name] = folders.list_images(place)
            if others := folders.unread(place):
                complain(place, f"has {others}")
        except folders.UnreadableImage as error:
            complain(place, str(error))
        deeper += [f"{place.name}/{one.name}" for one in _inside(place) if _has_pictures(one)]
    if len(found) < least:
        what = f"only one class ({', '.join(found)})" if found else "no folders with pictures"
        expected = "two folders or more, CLASS/*.jpg, or train/CLASS/*.jpg and val/CLASS/*.jpg"
        some = None if found else next(filter(folders.is_picture, folder.rglob("*")), None)
        seen = f"; found {some.relative_to(folder)}" if some else ""
        raise ValueError(f"{folder}: {what}; expected {expected}{seen}")
    if deeper:
        text = "only pictures directly inside a class are read"
        complain(folder, f"{text}; {_passed_over(deeper)}")
    return found


def _passed_over(names: list[str]) -> str:
    """`a, b and c are passed over`, or where they are many, `a, b and 5 more`."""
    shown = names if len(names) < 4 else [*names[:2], f"{len(names) - 2} more"]
    listed = " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
    return f"{listed} {'is' if len(names) == 1 else 'are'} passed over"


def _labelled(found: dict[str, list[Path]], classes: tuple[str, ...]) -> Pictures:
    paths = [path for name in found for path in found[name]]
    labels = [classes.index(name) for name in found for _ in found[name]]
    return Pictures(
        [str(path) for path in paths],
        np.array(labels, np.int32),
        lambda index: folders.read_image(paths[index]),
    )
