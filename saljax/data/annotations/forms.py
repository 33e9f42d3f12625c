"""Which form annotations have, by what is in them."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from saljax.data.annotations import aircraft, cars, coco, cub, ichallenge, lists, pets, voc
from saljax.data.annotations.example import Example
from saljax.data.folders import some


class Form(NamedTuple):
    """A form of annotations.

    Attributes:
        name: for people.
        files: those of a path that are read; none where it is not of this form.
        read: what they say.
    """

    name: str
    files: Callable[[Path], list[Path]]
    read: Callable[[Path], list[Example]]


FORMS = (
    Form("COCO JSON", coco.files, coco.read),
    Form("CUB-200-2011", cub.files, cub.read),
    Form("FGVC-Aircraft", aircraft.files, aircraft.read),
    Form("Stanford Cars", cars.files, cars.read),
    Form("Oxford-IIIT pets", pets.files, pets.read),
    Form("XML of Pascal VOC or ImageNet", voc.files, voc.read),
    Form("iChallenge-PM", ichallenge.files, ichallenge.read),
    Form("LOC_*_solution.csv of ImageNet", lists.solutions, lists.read_solution),
    Form("a list PICTURE CLASS, as of Places365", lists.files, lists.read),
)
"""The first that a path has is its form."""


def recognized(path: Path) -> Form | None:
    """Return the form of a file or folder; None where it is of none of `FORMS`.

    Raises:
        OSError: it cannot be read.
    """
    return next((form for form in FORMS if form.files(path)), None)


def read(path: Path) -> list[Example]:
    """Read annotated pictures from a file or folder, in the form that is recognized in it.

    Args:
        path: of one of `FORMS`.

    Returns:
        The pictures, in order of the annotations.

    Raises:
        OSError: it cannot be read.
        ValueError: it is of no such form, or malformed; one line says what was found.
    """
    form = recognized(path)
    if form is None:
        raise ValueError(f"{path}: {unknown(path)}")
    return form.read(path)


def unknown(path: Path) -> str:
    """Say what was found in a path that is of no form, and what is read."""
    known = ", ".join(form.name for form in FORMS)
    if not path.is_dir():
        return f"is of no form of annotations that is read here: {known}"
    inside = sorted(one.name + "/" * one.is_dir() for one in path.iterdir())
    seen = f"found {some(inside)}" if inside else "it is empty"
    return f"no annotations are recognized in this folder ({seen}); read are {known}"


def sha256(path: Path) -> str:
    """Digest of a file of annotations, or of all files that are read of a folder, beside it too."""
    form = recognized(path)
    if path.is_file() or form is None:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    together = hashlib.sha256()
    for one in form.files(path):
        together.update(f"{Path(os.path.relpath(one, path)).as_posix()}\n".encode())
        together.update(hashlib.sha256(one.read_bytes()).digest())
    return together.hexdigest()
