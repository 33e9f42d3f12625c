"""Lists of pictures and their classes, a line each: ImageNet's, Places365's, anyone's.

`LOC_val_solution.csv` of ImageNet's localization challenge has boxes as well: a line of `ImageId`
and `PredictionString`, which is `n01440764 x1 y1 x2 y2` as often as there are objects, with the
corners of ImageNet's XML: the first pixel is 0, corners are inside.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from saljax.data.annotations.example import Example, Object
from saljax.data.files import PICTURES

HEADER = ["imageid", "predictionstring"]
ENDINGS = "|".join(re.escape(suffix) for suffix in sorted(PICTURES, key=len, reverse=True))
LINE = re.compile(rf"(\S.*?(?:{ENDINGS}))\s+(\S.*)", re.IGNORECASE)
CATEGORIES = "categories_places365.txt"
"""The names of Places365's classes, `/a/atrium/public 31`, where it lies beside its lists."""


def solutions(path: Path) -> list[Path]:
    """Return the file, if it is one of ImageNet's solutions."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return []
    with open(path, encoding="utf-8-sig", errors="replace") as lines:
        return [path] if lines.readline().strip().lower().split(",") == HEADER else []


def read_solution(path: Path) -> list[Example]:
    """Read ImageNet's boxes from a solution.

    Raises:
        ValueError: a line is malformed; the message says which.
    """
    found = []
    with open(path, encoding="utf-8-sig", newline="") as content:
        lines = csv.reader(content)
        next(lines)
        for number, line in enumerate(lines, start=2):
            try:
                image, text = line
                found.append(Example(image, tuple(_objects(text.split()))))
            except ValueError:
                expected = "ID,WORDNET_ID x1 y1 x2 y2 and so on, all numbers"
                raise ValueError(f"{path}: line {number}: expected {expected}") from None
    return found


def _objects(words: list[str]) -> Iterator[Object]:
    if len(words) % 5 or not words:
        raise ValueError
    for at in range(0, len(words), 5):
        yield Object(words[at], np.asarray(list(map(float, words[at + 1 : at + 5]))))


def files(path: Path) -> list[Path]:
    """Return the file and what names its classes, if it is a list `PICTURE CLASS`."""
    if path.suffix.lower() not in (".txt", ".lst") or not path.is_file():
        return []
    with open(path, encoding="utf-8-sig", errors="replace") as lines:
        first = next((line.strip() for line in lines if line.strip()), "")
    if not LINE.fullmatch(first):
        return []
    names = path.parent / CATEGORIES
    return [path, names] if names.is_file() and "places365" in path.name.lower() else [path]


def read(path: Path) -> list[Example]:
    """Read a list `PICTURE CLASS`; a class is an index, a name or a WordNet id.

    Indices of a list of Places365 become names where `CATEGORIES` lies beside it.

    Raises:
        ValueError: a line has no picture or no class.
    """
    names = {}
    for categories in files(path)[1:]:
        for line in categories.read_text("utf-8").splitlines():
            name, index = line.rsplit(maxsplit=1)
            names[index] = _place(name)
    found = []
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"{path}: line {number}: expected PICTURE CLASS, got {line[:80]!r}")
        image, label = match.groups()
        found.append(Example(image, (Object(names.get(label, label)),)))
    return found


def _place(name: str) -> str:
    """`/a/atrium/public` is `atrium (public)`, as the classes of our own index are called."""
    first, *more = name.split("/")[2:]
    return " ".join([first, *(f"({one})" for one in more)]).replace("_", " ")
