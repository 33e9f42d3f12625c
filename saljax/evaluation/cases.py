"""What is to be explained and judged: pictures, the class in each, and the boxes a file gives them.

Classes are those of the boxes, or of the folders that the pictures lie in.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from saljax.data import box_files, boxes, class_folders
from saljax.data.annotations import forms, framed
from saljax.data.annotations.example import Masks
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
        image: the picture for people: its path inside the folder of data.
        content: gives the bytes of the picture, where it is no file.
        masks: for each box what draws the mask of its object, or None; () where there are none.
        masks_of: a digest of where the masks come from.
    """

    name: str
    path: Path
    target: int | None
    corners: np.ndarray | None
    size: tuple[int, int] | None
    classes: tuple[int | None, ...] = ()
    image: str = ""
    content: Callable[[], bytes] | None = None
    masks: Masks = ()
    masks_of: str = ""

    def of_class(self, target: int) -> "Case":
        """The case without boxes of other classes; those without a class stay."""
        if self.corners is None or not self.classes:
            return self
        own = np.asarray([one in (None, target) for one in self.classes], bool)
        classes = tuple(one for one in self.classes if one in (None, target))
        masks = tuple(one for one, kept in zip(self.masks, own, strict=False) if kept)
        return self._replace(corners=self.corners[own], classes=classes, masks=masks)


def gather(
    folder: Path,
    boxes_file: Path | None,
    labels: Sequence[str],
    by_label: bool | None,
    number: int | None,
    complain: Complain,
    form: box_files.Form | None = None,
    note: Callable[[Path, str], None] = lambda folder, text: None,
    split: str | None = None,
) -> tuple[list[Case], bool]:
    """Bring pictures, classes and boxes together.

    Args:
        folder: of pictures, or of folders of pictures, one a class, see `class_folders.to_test`.
        boxes_file: see `box_files.read`; None for no boxes.
        labels: names of the classifier's classes.
        by_label: the target is the class of the boxes, each class of a picture a case of its own,
            or where these have no labels the class of the picture's folder; else a picture is one
            case, judged by those of its boxes that are of the class chosen for it or of no class
            known. None: by label where there are any.
        number: only the first pictures of the folder, by name, or of class folders as many of each
            class as of the others, or one more; all if None.
        complain: about what is left out.
        form: what the corners are in, see `box_files.read`.
        note: about pictures that are passed over, see `inputs.inside`, and boxes without pictures.
        split: only pictures that are of it, see `box_files.read`.

    Returns:
        Cases in order of the pictures' names, and whether targets are those of labels.

    Raises:
        OSError: folder or file cannot be read.
        ValueError: nothing can be explained, or the file of boxes is malformed.
    """
    if not folder.is_dir():
        raise OSError(f"{folder}: is not a folder")
    class_of_path = _pictures(folder, labels, complain, note)
    paths = list(class_of_path)
    annotations = box_files.read(boxes_file, form, split) if boxes_file else []
    has_folders = any(one is not None for one in class_of_path.values())
    has_labels = has_folders or any(one.label is not None for one in annotations)
    if by_label and not has_labels:
        what = f"{boxes_file} has no labels" if boxes_file else "there are no labels"
        raise ValueError(f"--target label: {what}; --boxes has them, or folders CLASS/*.jpg")
    by_label = has_labels if by_label is None else by_label
    meant = box_files.matched([one.file for one in annotations], paths)
    unknown = {one.file: None for one in annotations if one.file not in meant}
    if unknown:
        where = f"{folder} does not have, or not just once; passed over"
        note(boxes_file or folder, f"has boxes of {_some(unknown)} that {where}")
    of_picture: dict[Path, list[boxes.Annotation]] = {}
    for one in annotations:
        if one.file in meant:
            of_picture.setdefault(meant[one.file], []).append(one)
    if split is not None:
        class_of_path = {path: one for path, one in class_of_path.items() if path in of_picture}
    chosen = _first(class_of_path, number)
    without = [path.name for path in chosen if boxes_file and path not in of_picture]
    if without:
        text = f"has {_some(without)} without boxes in {boxes_file}"
        if by_label and not has_folders:
            complain(str(folder), f"{text}; left out")
        else:
            note(folder, f"{text}; measured without")
    class_of = classes({one.label for one in annotations}, labels)
    masked = any(any(one.masks) for one in annotations)
    masks_of = forms.sha256(boxes_file) if boxes_file and masked else ""
    cases = []
    for path in chosen:
        own, image = of_picture.get(path, []), path.relative_to(folder).as_posix()
        if by_label:
            found = by_label_of(path, own, class_of_path[path], boxes_file, class_of, complain)
        else:
            found = [unlabelled(path, own, boxes_file, class_of)]
        cases += [
            case._replace(image=image, masks_of=masks_of if any(case.masks) else "")
            for case in found
        ]
    if not cases:
        raise ValueError(f"{folder} and {boxes_file} have no picture in common to explain")
    return named(cases), by_label


def _pictures(
    folder: Path, labels: Sequence[str], complain: Complain, note: Callable[[Path, str], None]
) -> dict[Path, int | None]:
    """Pictures of a folder in order, with the class of the folder that each lies in."""
    try:
        return dict.fromkeys(inputs.inside(folder, note))
    except UnreadableImage as error:
        try:
            classes = class_folders.to_test(folder, note)
        except ValueError as of_folders:
            known = f"{folder}: {error}" if not class_folders.any_in(folder) else str(of_folders)
            raise ValueError(known) from None
    found: dict[Path, int | None] = {}
    for name, paths in classes.items():
        try:
            target = find_class(name, labels)
        except ValueError as error:
            complain(str(paths[0].parent), f"{error}; left out")
        else:
            found |= dict.fromkeys((p for p in paths if not store.is_figure(p)), target)
    if not found:
        raise ValueError(f"{folder}: none of its folders is named after a class of the classifier")
    return found


def _first(class_of: Mapping[Path, int | None], number: int | None) -> list[Path]:
    """The first pictures, of several classes in turn; in order."""
    if number is None:
        return list(class_of)
    groups: dict[int | None, list[Path]] = {}
    for path, target in class_of.items():
        groups.setdefault(target, []).append(path)
    turns = itertools.chain.from_iterable(itertools.zip_longest(*groups.values()))
    chosen = set(itertools.islice((path for path in turns if path is not None), number))
    return [path for path in class_of if path in chosen]


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


def seen_boxes(case: Case, size: tuple[int, ...], framing: inputs.Framing) -> SeenBoxes:
    """Find where the boxes of a case lie for the classifier.

    Args:
        case: with or without boxes.
        size: (height, width) of its picture.
        framing: of the picture.

    Returns:
        Boxes with an area.
    """
    none = np.zeros((0, 4), np.float32)
    resize, crop, padded = framing
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
    seen = boxes.follow(good, (height, width), resize, crop, padded)
    of = f"{wrong.sum()} of its {len(wrong)} boxes outside the picture, or x2 < x1 or y2 < y1"
    return SeenBoxes(seen, len(good) - len(seen), (of,) if wrong.any() else ())


def seen_mask(case: Case, framing: inputs.Framing) -> np.ndarray | None:
    """Draw the masks of a case where the classifier sees them, all in one.

    Args:
        case: with or without masks.
        framing: of the picture.

    Returns:
        (H, W) of booleans; None where a box has no mask, and where nothing of them is seen.
    """
    if framing.resize is None or not case.masks or not all(case.masks):
        return None
    drawn = [draw() for draw in case.masks if draw]
    mask = framed.of_mask(np.any(drawn, axis=0), framing.resize, framing.crop, framing.padded)
    return mask if mask.any() else None


def _together(
    own: Sequence[boxes.Annotation], boxes_file: Path | None
) -> tuple[np.ndarray | None, tuple[int, int] | None]:
    """All boxes of a picture, and the size that they were given for."""
    if boxes_file is None:
        return None, None
    corners = [one.corners for one in own] or [np.zeros((0, 4))]
    return np.concatenate(corners), own[0].size if own else None


Classes = Mapping[str | None, int | ValueError | None]
"""Label -> class; or why there is none."""


def classes(labels: Iterable[str | None], of_classifier: Sequence[str]) -> Classes:
    """Find the classes of labels, each once."""
    found: dict[str | None, int | ValueError | None] = {}
    for label in labels:
        try:
            found[label] = None if label is None else find_class(label, of_classifier)
        except ValueError as error:
            found[label] = error
    return found


def by_label_of(
    path: Path,
    own: Sequence[boxes.Annotation],
    of_folder: int | None,
    boxes_file: Path | None,
    class_of: Classes,
    complain: Complain,
) -> list[Case]:
    """A case a class of the boxes; where they have none, one of the class of the folder."""
    if of_folder is not None and all(one.label is None for one in own):
        return [_with_masks(Case("", path, of_folder, *_together(own, boxes_file)), own)]
    found = []
    for one in own:
        target = class_of[one.label]
        if isinstance(target, int):
            found.append(Case("", path, target, one.corners, one.size, masks=one.masks))
        else:
            complain(path.name, f"{target or 'its boxes have no label'}; left out")
    return found


def unlabelled(
    path: Path, own: Sequence[boxes.Annotation], boxes_file: Path | None, class_of: Classes
) -> Case:
    """The case of a picture whose class is chosen by the classifier's scores."""
    known = (class_of[one.label] for one in own for _ in one.corners)
    of_boxes = tuple(one if isinstance(one, int) else None for one in known)
    return _with_masks(Case("", path, None, *_together(own, boxes_file), of_boxes), own)


def _with_masks(case: Case, own: Sequence[boxes.Annotation]) -> Case:
    each = [one.masks or (None,) * len(one.corners) for one in own]
    masks = tuple(itertools.chain.from_iterable(each))
    return case._replace(masks=masks) if any(masks) else case


def named(cases: Sequence[Case]) -> list[Case]:
    """The cases with names of their own."""
    names = store.distinct_names((case.path for case in cases), ending=store.KEYED)
    return [case._replace(name=name) for case, name in zip(cases, names, strict=True)]


def _some(names) -> str:
    """`4 pictures (a.jpg, b.jpg, c.jpg, ...)`."""
    names = list(names)
    return f"{len(names)} picture{'s' if len(names) > 1 else ''} ({some(names)})"
