"""iChallenge-PM (PALM): fundus photographs with and without pathological myopia.

Source: Fu et al., PALM: Pathologic Myopia Challenge, IEEE Dataport 2019, and Fang et al.,
Scientific Data 11, 2024. `Lesion_Masks/Atrophy` and `Lesion_Masks/Detachment` have a picture for
each photograph with such a lesion, black (0) where it is and white elsewhere. The names of
photographs begin with P for pathological myopia, H for high myopia and N for normal; in the
validation and test sets, where they do not, a sheet says it. That sheet has the place of the fovea
too, as `imgName`, `Label`, `Fovea_X` and `Fovea_Y`; it is distributed as .xlsx and read here when
it was saved as .csv.
"""

import csv
import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from saljax.data.annotations.example import Example, Keypoint, Mask, Object

LESIONS = ("Atrophy", "Detachment")
CLASSES = ("not pathological", "pathological myopia")
"""Names of the two classes; our choice, the sheet has 0 and 1."""
IMAGE, X, Y = "imgname", "fovea_x", "fovea_y"


def files(path: Path) -> list[Path]:
    """Return the masks, and the sheets saved as .csv, of a folder or of the folders in it."""
    if not path.is_dir():
        return []
    masks = [
        one
        for folder in sorted(path.rglob("Lesion_Masks"))
        for lesion in LESIONS
        for one in sorted((folder / lesion).glob("[!.]*"))
        if one.suffix.lower() in (".bmp", ".png")
    ]
    sheets = [one for one in sorted(path.rglob("*.csv")) if X in _columns(one)] if masks else []
    return [*masks, *sheets]


def read(path: Path) -> list[Example]:
    """Read all photographs that have a lesion or are in a sheet: one object each.

    Its mask is of all lesions together, its keypoint the fovea, in pixels.

    Raises:
        ValueError: a sheet is malformed; the message says which line.
    """
    masks, rows = dict[str, list[Path]](), dict[str, dict[str, str]]()
    for one in files(path):
        if one.suffix.lower() == ".csv":
            rows |= _rows(one)
        else:
            masks.setdefault(one.stem, []).append(one)
    return [
        Example(f"{name}.jpg", (_object(name, masks.get(name, []), rows.get(name, {})),))
        for name in sorted(masks | rows)
    ]


def _object(name: str, masks: list[Path], row: Mapping[str, str]) -> Object:
    ill = bool(masks) or name.startswith("P") or row.get("label", "0").strip() in ("1", "1.0")
    x, y = row.get(X, "").strip(), row.get(Y, "").strip()
    seen = x and y and float(x) + float(y) > 0  # zeros where nobody saw it
    keypoints = {"fovea": Keypoint(float(x), float(y))} if seen else {}
    mask = functools.partial(_mask, masks) if masks else None
    return Object(CLASSES[ill], mask=mask, keypoints=keypoints)


def _columns(sheet: Path) -> list[str]:
    with open(sheet, encoding="utf-8-sig", errors="replace", newline="") as file:
        return [one.strip().lower() for one in next(csv.reader(file), [])]


def _rows(sheet: Path) -> dict[str, dict[str, str]]:
    with open(sheet, encoding="utf-8-sig", newline="") as file:
        found = {}
        for number, line in enumerate(csv.DictReader(file), start=2):
            row = {str(key).strip().lower(): value or "" for key, value in line.items()}
            try:
                name = Path(row[IMAGE].strip()).stem
                [float(row[axis] or 0) for axis in (X, Y)]
            except (KeyError, ValueError):
                raise ValueError(
                    f"{sheet}, line {number}: expected the columns imgName, Fovea_X and Fovea_Y, "
                    "and numbers in the last two"
                ) from None
            found[name] = row
    return found


def _mask(pictures: list[Path]) -> Mask:
    found = []
    for one in pictures:
        with Image.open(one) as picture:
            found.append(np.asarray(picture.convert("L")) == 0)
    return np.any(found, axis=0)
