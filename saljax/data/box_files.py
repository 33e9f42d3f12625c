"""Files of boxes, in the forms that people write by hand or by program."""

import csv
import io
import json
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from saljax.data.annotations import forms
from saljax.data.annotations.example import Example, Masks, by_class
from saljax.data.files import PICTURES

Corners = Float[np.ndarray, "boxes 4"]
Form = Literal["pixels", "normalized"]

SHARES = 1, 1
"""The size of a picture whose corners are shares of its width and height."""
COLUMNS = {
    "file": ("file", "image", "filename", "file_name", "image_id", "imageid", "path"),
    "x1": ("x1", "xmin", "x_min", "left"),
    "y1": ("y1", "ymin", "y_min", "top"),
    "x2": ("x2", "xmax", "x_max", "right"),
    "y2": ("y2", "ymax", "y_max", "bottom"),
    "label": ("label", "class", "class_name", "wnid", "labelname", "category"),
    "width": ("width",),
    "height": ("height",),
    "boxes": ("boxes",),
}
"""What the parts of an entry are called; the first name that is there is taken."""
CORNERS = ("x1", "y1", "x2", "y2")
WITHOUT_HEADER = ("file", *CORNERS, "label")
SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv")


class Annotation(NamedTuple):
    """Boxes of one class in one picture.

    Attributes:
        file: name of the picture, as the file of boxes has it.
        label: class by index, name or WordNet id; None where the file of boxes does not say.
        corners: (B, 4), x1, y1, x2, y2 in pixels of the file, corners inside, as they were given.
        size: (height, width) that they were given for; `SHARES` where they are shares of these,
            from edge to edge; None where the file does not say.
        masks: for each box what draws the mask of its object, or None; () where there are none.
    """

    file: str
    label: str | None
    corners: Corners
    size: tuple[int, int] | None = None
    masks: Masks = ()


def read(path: Path, form: Form | None = None, split: str | None = None) -> list[Annotation]:
    """Read a file of boxes, or a folder.

    These are known:

    - Forms of data sets, see `annotations.forms`, by what is in them; crowds and classes of which a
      picture has only difficult objects are left out, see `annotations.example.by_class`.
    - JSON: a list of `{"file": NAME, "boxes": [[x1, y1, x2, y2], ...]}`, or one such entry a line;
      or a dictionary, NAME to boxes or to such entries. `"label"` names the class, `"width"` and
      `"height"` the size of the picture.
    - CSV, one line a box: `image,x1,y1,x2,y2`, and `label`, `width`, `height` where there are any,
      in any order if the first line names them. Separated by commas, semicolons or tabs. A line
      with nothing but a name is a picture without boxes, an empty one is nothing.

    `COLUMNS` has the other words that are understood, in upper or lower case; what else an entry
    has is ignored.

    Args:
        path: of one of these forms, or ends in one of `SUFFIXES`.
        form: what the corners are in: pixels of the picture, or shares of its width and height.
            None: pixels, but shares are recognized and refused.
        split: "train" or "test", of data sets that say which is which; None: all pictures.

    Returns:
        One annotation for each picture and class, in order of their first boxes.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is of no such form; the message says which entry. Or all corners lie in 0..1
            and nobody said what they are in. Or there is no such split.
    """
    if (own := forms.recognized(path)) is not None:
        if form == "normalized":
            raise ValueError(f"{path}: {own.name} has pixels; leave --boxes-format out")
        return [Annotation(*one) for one in by_class(_of_split(path, own.read(path), split))]
    if path.is_dir():
        raise ValueError(f"{path}: {forms.unknown(path)}")
    _of_split(path, [], split)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES and path.exists():
        others = f"boxes are read from a file {', '.join(SUFFIXES)}"
        raise ValueError(f"{path}: {forms.unknown(path)}; other {others}")
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not text in UTF-8") from None
    if not text.strip():
        raise ValueError(f"{path}: is empty")
    entries = _table(path, text) if suffix in (".csv", ".tsv") else _json(path, text)
    found = [_annotation(*entry) for entry in entries]
    corners = np.concatenate([one.corners for one in found] or [np.zeros((0, 4))])
    if form is None and len(corners) and ((corners >= 0) & (corners <= 1)).all():
        raise ValueError(
            f"{path}: all corners lie in 0..1, like shares of width and height; say so with "
            "--boxes-format normalized, or --boxes-format pixels if they are pixels"
        )
    together: dict[tuple[str, str | None], Annotation] = {}
    for one in found:
        key = one.file, one.label
        if key in together:
            one = one._replace(corners=np.concatenate([together[key].corners, one.corners]))
        together[key] = one._replace(size=SHARES) if form == "normalized" else one
    return list(together.values())


def matched(names: Iterable[str], paths: Iterable[Path]) -> dict[str, Path]:
    """Find the pictures that names in a file of boxes mean.

    The same name; else also the same folder; else without folders; else without a suffix as well.
    Where two names could mean one picture, or one name two, they mean none.

    Args:
        names: as the file of boxes has them, in pictures' folders or not.
        paths: of pictures.

    Returns:
        Name -> path, of those that were found.
    """
    found: dict[str, Path] = {}
    for of_name, of_path in _KEYS:
        left = _groups(of_name, [name for name in dict.fromkeys(names) if name not in found])
        free = _groups(of_path, set(paths) - {*found.values()})
        found |= {
            same[0]: free[key][0]
            for key, same in left.items()
            if len(same) == 1 == len(free.get(key, ()))
        }
    return found


def _of_split(path: Path, examples: list[Example], split: str | None) -> list[Example]:
    if split is None:
        return examples
    known = sorted({one.split for one in examples if one.split})
    if split not in known:
        has = f"it has {', '.join(known)}" if known else "it does not say which pictures are of one"
        raise ValueError(f"{path}: has no split {split}; {has}")
    return [one for one in examples if one.split == split]


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts


def _stem(name: str) -> str:
    last = PurePosixPath(_parts(name)[-1])
    return last.stem if last.suffix.lower() in PICTURES else last.name


_KEYS = (
    (lambda name: name, lambda path: path.name),
    (lambda name: _parts(name)[-2:], lambda path: path.parts[-2:]),
    (lambda name: _parts(name)[-1], lambda path: path.name),
    (_stem, lambda path: path.stem),
)


def _groups(key: Callable[[Any], Any], items: Iterable[Any]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


Entries = Iterator[tuple[str, Mapping[str, Any]]]
"""Where each entry stands, and its parts under the names of `COLUMNS`."""
_AN_ENTRY = 'expected {"file": NAME, "boxes": [[x1, y1, x2, y2], ...]}'


def _json(path: Path, text: str) -> Entries:
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        yield from _json_lines(path, text, error)
        return
    if isinstance(content, list):
        entries = [(f"record {number}", one) for number, one in enumerate(content, start=1)]
    elif not isinstance(content, dict):
        raise ValueError(f"{path}: expected a list of entries; {_AN_ENTRY}")
    elif isinstance(_parts_of("", content).get("file"), str):
        entries = [("record 1", content)]
    else:
        entries = [
            (repr(name), one) for name, given in content.items() for one in _of_file(name, given)
        ]
    for what, entry in entries:
        yield f"{path}: {what}", _parts_of(f"{path}: {what}", entry)


def _of_file(name: str, given: Any) -> list[dict[str, Any]]:
    several = isinstance(given, list) and given and isinstance(given[0], dict)
    entries = [
        one if isinstance(one, dict) else {"boxes": one} for one in (given if several else [given])
    ]
    return [{"file": name} | entry for entry in entries]


def _json_lines(path: Path, text: str, error: Exception) -> Entries:
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{path}: line {number}"
        try:
            entry = json.loads(line) if line.strip() else None
        except (json.JSONDecodeError, RecursionError) as of_line:
            if number > 1:
                raise ValueError(f"{where}: is not JSON ({of_line})") from None
            raise ValueError(f"{path}: is not JSON ({error})") from None
        if entry is not None:
            yield where, _parts_of(where, entry)


def _parts_of(where: str, entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: {_AN_ENTRY}")
    lower = {str(word).lower(): value for word, value in entry.items()}
    first = {name: next(filter(lower.__contains__, words), "") for name, words in COLUMNS.items()}
    return {name: lower[word] for name, word in first.items() if word}


def _table(path: Path, text: str) -> Entries:
    first = next((line for line in text.splitlines() if line.strip()), "")
    lines = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count))
    columns: dict[str, int] = {}
    try:
        for cells in lines:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if not columns:
                columns, named = _columns(path, cells)
                if named:
                    continue
            entry = {name: cells[at] for name, at in columns.items() if any(cells[at : at + 1])}
            has_box = any(name in entry for name in CORNERS)
            yield f"{path}: line {lines.line_num}", entry | ({} if has_box else {"boxes": []})
    except csv.Error as error:
        raise ValueError(f"{path}: line {lines.line_num}: {error}") from None


def _columns(path: Path, cells: Sequence[str]) -> tuple[dict[str, int], bool]:
    """Which cell of a line is which part of an entry, and whether the first line names them."""
    lower = [cell.lower() for cell in cells]
    found = {
        name: lower.index(word)
        for name, words in COLUMNS.items()
        for word in reversed(words)
        if word in lower
    }
    if found.keys() >= {"file", *CORNERS}:
        return found, True
    if 5 <= len(cells) <= 6 and all(map(_is_number, cells[1:5])):
        return {name: at for at, name in enumerate(WITHOUT_HEADER[: len(cells)])}, False
    raise ValueError(
        f"{path}: the first line must name the columns image,x1,y1,x2,y2[,label], or be a name and "
        f"four numbers; it is {','.join(cells)[:80]!r}"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _annotation(where: str, entry: Mapping[str, Any]) -> Annotation:
    name, label = entry.get("file"), entry.get("label")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{where}: names no picture; {_AN_ENTRY}")
    try:
        boxes = entry["boxes"] if "boxes" in entry else [[entry[c] for c in CORNERS]]
        corners = np.asarray([np.asarray(box, np.float64).reshape(4) for box in boxes])
        size = (_whole(entry["height"]), _whole(entry["width"])) if "width" in entry else None
    except (TypeError, ValueError, KeyError):
        raise ValueError(
            f"{where}: boxes must be x1, y1, x2, y2, all numbers, and width and height whole "
            "numbers, if they are there"
        ) from None
    return Annotation(name, None if label is None else str(label), corners.reshape(-1, 4), size)


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, str) else operator.index(value)
