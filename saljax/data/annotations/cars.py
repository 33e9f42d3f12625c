"""Stanford Cars, as it was distributed.

Source: Krause et al., 3D Object Representations for Fine-Grained Categorization, 3dRR 2013, and its
development kit: MATLAB files with a list `annotations` of bbox_x1, bbox_y1, bbox_x2, bbox_y2, class
and fname, or relative_im_path and test; the names of the classes are in the same file or in
`cars_meta.mat` beside it, the first is 1. That corners are inside and count from 1, as MATLAB does,
is our reading: the kit does not say.
"""

from pathlib import Path
from typing import Any

import numpy as np

from saljax.data.annotations.example import Example, Object

CORNERS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
NAMES = "cars_meta.mat"


def files(path: Path) -> list[Path]:
    """Return the file and that of the names of classes, if it is a MATLAB file of cars."""
    if path.suffix.lower() != ".mat" or "annos" not in path.name or not path.is_file():
        return []
    names = path.parent / NAMES
    return [path, names] if names.is_file() else [path]


def read(path: Path) -> list[Example]:
    """Read all pictures, one car each.

    Raises:
        ValueError: the file is not MATLAB's, or has other fields.
    """
    classes: list[str] = []
    for one in files(path)[::-1]:
        content = _content(one)
        classes = [str(name) for name in np.atleast_1d(content.get("class_names", classes))]
    try:
        return [_example(one, classes) for one in np.atleast_1d(content["annotations"])]
    except (KeyError, IndexError, AttributeError, TypeError, ValueError):
        expected = f"annotations of {', '.join(CORNERS)}, class, and fname or relative_im_path"
        raise ValueError(f"{path}: expected {expected}") from None


def _content(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat  # JAX brings it

    try:
        return loadmat(path, squeeze_me=True, struct_as_record=False)
    except Exception as error:  # of many kinds
        raise ValueError(f"{path}: is not a MATLAB file ({error})") from None


def _example(one: Any, classes: list[str]) -> Example:
    box = np.asarray([float(getattr(one, corner)) for corner in CORNERS]) - 1
    label = None
    if hasattr(one, "class"):
        index = int(getattr(one, "class")) - 1
        label = classes[index] if classes else str(index)
    image = one.fname if hasattr(one, "fname") else one.relative_im_path
    split = {0: "train", 1: "test"}.get(getattr(one, "test", -1))
    return Example(str(image), (Object(label, box),), split=split)
