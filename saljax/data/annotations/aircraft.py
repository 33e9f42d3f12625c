"""FGVC-Aircraft, as it is distributed.

Source: Maji et al., Fine-Grained Visual Classification of Aircraft, arXiv:1306.5151, and its
README: `images_box.txt` has a line `NAME xmin ymin xmax ymax` a picture, the upper left pixel is
(1, 1); `images_variant_test.txt` and its like have `NAME VARIANT`.
"""

from pathlib import Path

import numpy as np

from saljax.data.annotations.example import Example, Object

BOXES = "images_box.txt"
SPLITS = {"train": "train", "val": "train", "test": "test"}


def files(path: Path) -> list[Path]:
    """Return the files of a folder, `fgvc-aircraft-2013b` or the `data` in it, or of its boxes."""
    places = (path.parent,) if path.name == BOXES else (path, path / "data")
    folder = next((place for place in places if (place / BOXES).is_file()), None)
    if folder is None:
        return []
    variants = (folder / f"images_variant_{split}.txt" for split in SPLITS)
    return [folder / BOXES, *(one for one in variants if one.is_file())]


def read(path: Path) -> list[Example]:
    """Read all pictures, one aircraft each; its variant is the class, where the lists are there.

    Raises:
        ValueError: a line is malformed; the message says which.
    """
    boxes, *lists = files(path)
    variants, splits = {}, {}
    for one in lists:
        for line in one.read_text("utf-8").splitlines():
            name, _, variant = line.strip().partition(" ")
            variants[name] = variant
            splits[name] = SPLITS[one.stem.rsplit("_", 1)[1]]
    found = []
    for number, line in enumerate(boxes.read_text("utf-8").splitlines(), start=1):
        try:
            name, *corners = line.split()
            box = np.asarray(list(map(float, corners))).reshape(4) - 1
        except ValueError:
            expected = "NAME xmin ymin xmax ymax"
            raise ValueError(f"{boxes}: line {number}: expected {expected}") from None
        found.append(Example(name, (Object(variants.get(name), box),), split=splits.get(name)))
    return found
