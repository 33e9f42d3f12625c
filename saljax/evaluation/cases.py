"""What is to be explained and judged: pictures of a folder, with the boxes a file gives them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from saljax.data import box_files, boxes
from saljax.data.files import UnreadableImage
from saljax.data.folders import some
from saljax.models.labels import find_class
from saljax.runs import inputs, store

Complain = Callable[[str, str], None]
"""Told what is wrong, and with what."""


class Case(NamedTuple):
    """A picture, and a class in it.

    Attributes:
        name: of its results; no other case has it.
        path: of the picture.
        target: class index; None where it is chosen by the classifier's scores.
        corners: (B, 4) in pixels of the file, as they were given; None without a file of boxes.
        size: (height, width) that they were given for, if known.
        classes: of each box; None where the classifier knows none by its label. () where all are
            of the target.
    """

    name: str
    path: Path
    target: int | None
    corners: np.ndarray | None
    size: tuple[int, int] | None
    classes: tuple[int | None, ...] = ()

    def of_class(self, target: int) -> "Case":
        """The case without boxes of other classes; those without a class stay."""
        if self.corners is None or not self.classes:
            return self
        own = np.asarray([one in (None, target) for one in self.classes], bool)
        classes = tuple(one for one in self.classes if one in (None, target))
        return self._replace(corners=self.corners[own], classes=classes)


def gather(
    folder: Path,
    boxes_file: Path | None,
    labels: Sequence[str],
    by_label: bool | None,
    number: int | None,
    complain: Complain,
    form: box_files.Form | None = None,
    note: Callable[[Path, str], None] = lambda folder, text: None,
) -> tuple[list[Case], bool]:
    """Bring pictures and boxes together.

    Args:
        folder: of pictures.
        boxes_file: see `box_files.read`; None for no boxes.
        labels: names of the classifier's classes.
        by_label: the target is the class of the boxes, each class of a picture a case of its own;
            else a picture is one case, judged by those of its boxes that are of the class chosen
            for it or of no class known. None: by label where the file has any.
        number: only the first pictures of the folder, by name; all if None.
        complain: about what is left out.
        form: what the corners are in, see `box_files.read`.
        note: about pictures that are passed over, see `inputs.inside`.

    Returns:
        Cases in order of the pictures' names, and whether targets are those of the boxes.

    Raises:
        OSError: folder or file cannot be read.
        ValueError: nothing can be explained, or the file of boxes is malformed.
    """
    if not folder.is_dir():
        raise OSError(f"{folder}: is not a folder")
    try:
        paths = inputs.inside(folder, note)
    except UnreadableImage as error:
        raise ValueError(f"{folder}: {error}") from None
    if boxes_file is None:
        if by_label:
            raise ValueError("--target label: there are no labels without --boxes")
        return _named([Case("", p, None, None, None) for p in paths[:number]]), False
    annotations = box_files.read(boxes_file, form)
    has_labels = any(one.label is not None for one in annotations)
    by_label = has_labels if by_label is None else by_label
    if by_label and not has_labels:
        raise ValueError(f"--target label: {boxes_file} has no labels")
    meant = box_files.matched([one.file for one in annotations], paths)
    unknown = {one.file: None for one in annotations if one.file not in meant}
    if unknown:
        missing = f"{_some(unknown)} that {folder} does not have, or not just once"
        complain(str(boxes_file), f"has boxes of {missing}")
    of_picture: dict[Path, list[boxes.Annotation]] = {}
    for one in annotations:
        if one.file in meant:
            of_picture.setdefault(meant[one.file], []).append(one)
    chosen = paths[:number]
    without = [path.name for path in chosen if path not in of_picture]
    if without:
        left_out = "; left out" if by_label else "; measured without"
        complain(str(folder), f"has {_some(without)} without boxes in {boxes_file}{left_out}")
    class_of = {label: _class(label, labels) for label in {one.label for one in annotations}}
    cases = []
    for path in chosen:
        own = of_picture.get(path, [])
        if by_label:
            cases += _by_label(path, own, labels, complain)
        else:
            corners = [one.corners for one in own] or [np.zeros((0, 4))]
            size = own[0].size if own else None
            classes = [class_of[one.label] for one in own for _ in one.corners]
            cases.append(Case("", path, None, np.concatenate(corners), size, tuple(classes)))
    if not cases:
        raise ValueError(f"{folder} and {boxes_file} have no picture in common to explain")
    return _named(cases), by_label


class SeenBoxes(NamedTuple):
    """Boxes of a case on what the classifier sees.

    Attributes:
        corners: (B, 4) in its pixels.
        lost: how many good ones the crop left out.
        problems: what is wrong with those that were given.
    """

    corners: np.ndarray
    lost: int = 0
    problems: tuple[str, ...] = ()


def seen_boxes(
    case: Case, size: tuple[int, ...], resize: int | None, crop: int | None
) -> SeenBoxes:
    """Find where the boxes of a case lie for the classifier.

    Args:
        case: with or without boxes.
        size: (height, width) of its picture.
        resize: as `folders.prepare`.
        crop: as `folders.prepare`.

    Returns:
        Boxes with an area.
    """
    none = np.zeros((0, 4), np.float32)
    if case.corners is None or resize is None:
        return SeenBoxes(none)
    height, width = size
    corners = case.corners
    if case.size == box_files.SHARES:
        corners = boxes.in_pixels(corners, (height, width))
    elif case.size is not None and case.size != (height, width):
        meant = f"{case.size[1]} x {case.size[0]}"
        problem = f"its boxes are for {meant} pixels, it has {width} x {height}"
        return SeenBoxes(none, problems=(problem,))
    wrong = boxes.wrong(corners, (height, width))
    good = corners[~wrong]
    seen = boxes.follow(good, (height, width), resize, crop)
    of = f"{wrong.sum()} of its {len(wrong)} boxes outside the picture, or x2 < x1 or y2 < y1"
    return SeenBoxes(seen, len(good) - len(seen), (of,) if wrong.any() else ())


def _by_label(
    path: Path, own: Sequence[boxes.Annotation], labels: Sequence[str], complain: Complain
) -> list[Case]:
    found = []
    for one in own:
        if one.label is None:
            complain(path.name, "its boxes have no label; left out")
            continue
        try:
            target = find_class(one.label, labels)
        except ValueError as error:
            complain(path.name, f"{error}; left out")
            continue
        found.append(Case("", path, target, one.corners, one.size))
    return found


def _class(label: str | None, labels: Sequence[str]) -> int | None:
    try:
        return None if label is None else find_class(label, labels)
    except ValueError:
        return None


def _named(cases: Sequence[Case]) -> list[Case]:
    names = store.distinct_names((case.path for case in cases), ending=store.KEYED)
    return [case._replace(name=name) for case, name in zip(cases, names, strict=True)]


def _some(names) -> str:
    """`4 pictures (a.jpg, b.jpg, c.jpg, ...)`."""
    names = list(names)
    return f"{len(names)} picture{'s' if len(names) > 1 else ''} ({some(names)})"
