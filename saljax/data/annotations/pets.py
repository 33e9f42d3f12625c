"""The Oxford-IIIT pets, as they are distributed.

Source: Parkhi et al., Cats and Dogs, CVPR 2012, and its README: `annotations/list.txt` has lines
`NAME CLASS SPECIES BREED`, of which NAME is the breed and a number, and
`annotations/trimaps/NAME.png` has 1 for pixels of the pet, 2 for those of the background and 3 for
those that were left open.
"""

import functools
from pathlib import Path

import numpy as np
from PIL import Image

from saljax.data.annotations.example import Example, Mask, Object

PET = 1
SPLITS = {"trainval": "train", "test": "test"}


def files(path: Path) -> list[Path]:
    """Return the files of a folder, or of the `annotations` in it, if they are this data set's."""
    folder = next((one for one in (path, path / "annotations") if (one / "trimaps").is_dir()), path)
    lists = [folder / f"{name}.txt" for name in ("list", *SPLITS)]
    if not lists[0].is_file():
        return []
    trimaps = sorted((folder / "trimaps").glob("[!.]*.png"))  # some begin with a dot, and are none
    return [*(one for one in lists if one.is_file()), *trimaps] if trimaps else []


def read(path: Path) -> list[Example]:
    """Read all pictures: one pet each, its breed and its mask, whose box is the smallest around it.

    The boxes of heads, which some have as XML, are not read.
    """
    found = files(path)
    lists, trimaps = ([one for one in found if one.suffix == end] for end in (".txt", ".png"))
    splits = {
        line.split()[0]: SPLITS[one.stem]
        for one in lists
        if one.stem in SPLITS
        for line in one.read_text("utf-8").splitlines()
        if line.strip()
    }
    return [
        Example(
            f"{one.stem}.jpg",
            (Object(one.stem.rsplit("_", 1)[0], mask=functools.partial(_mask, one)),),
            split=splits.get(one.stem),
        )
        for one in trimaps
    ]


def _mask(trimap: Path) -> Mask:
    with Image.open(trimap) as picture:
        return np.asarray(picture) == PET
