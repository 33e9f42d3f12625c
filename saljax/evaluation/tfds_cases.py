"""What is to be explained and judged of a data set of TensorFlow Datasets."""

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from saljax.data.annotations import tfds_boxes
from saljax.data.annotations.example import by_class
from saljax.data.annotations.tfds_boxes import Annotated
from saljax.data.box_files import Annotation
from saljax.evaluation.cases import Case, Complain, by_label_of, classes, named, unlabelled

PREFIX = "tfds:"
"""What begins the name of a data set where a folder may be named."""


def gather(
    annotated: Annotated,
    of_classifier: Sequence[str],
    by_label: bool | None,
    number: int | None,
    complain: Complain,
) -> tuple[list[Case], bool]:
    """Bring pictures, classes and boxes together, as `cases.gather` does those of a folder.

    Args:
        annotated: the data set; all its pictures are read once for their classes, and not decoded.
        of_classifier: names of its classes.
        by_label: see `cases.gather`; None: by label.
        number: only the first pictures.
        complain: about what is left out.

    Returns:
        Cases in the order of the data set, and whether targets are those of labels.

    Raises:
        ValueError: nothing can be explained.
    """
    by_label = by_label is not False
    found: list[Case] = []
    for index in range(min(annotated.number, number or annotated.number)):
        example = annotated.example(index)
        path, own = Path(example.image), [Annotation(*one) for one in by_class([example])]
        class_of = _classes(tuple(one.label for one in own), tuple(of_classifier))
        if by_label:
            of_picture = by_label_of(path, own, None, path, class_of, complain)
        else:
            of_picture = [unlabelled(path, own, path, class_of)]
        content = functools.partial(annotated.content, index)
        given: dict[str, Any] = {"image": example.image, "content": content}
        if not annotated.has_boxes:
            given |= {"corners": None, "classes": ()}
        found += [
            case._replace(masks_of="tfds" if any(case.masks) else "", **given)
            for case in of_picture
        ]
    if not found:
        raise ValueError("none of its classes is one of the classifier")
    return named(found), by_label


def data_name(data: str) -> str:
    """What people call the data: the name of a folder, or of the data set."""
    return data if data.startswith(PREFIX) else Path(data).resolve().name


def opened(data: str) -> Annotated:
    """The data set that is named like `tfds:voc/2007:test`; ValueError where it cannot be read."""
    return tfds_boxes.read(*tfds_boxes.named(data.removeprefix(PREFIX)))


def pictures(data: Path) -> Iterator[tuple[Path, Callable[[], bytes]]]:
    """Where each picture of a data set would lie in a folder of its name, and what gives its bytes.

    Raises:
        ValueError: it cannot be opened.
    """
    annotated = opened(str(data))
    for index in range(annotated.number):
        yield data / annotated.example(index).image, functools.partial(annotated.content, index)


_classes = functools.lru_cache(maxsize=1024)(classes)
