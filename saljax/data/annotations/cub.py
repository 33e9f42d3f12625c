"""Caltech-UCSD Birds-200-2011, as it is distributed.

Source: Wah et al., The Caltech-UCSD Birds-200-2011 Dataset, 2011, and its README: lines of
`images.txt`, `image_class_labels.txt`, `bounding_boxes.txt`, `train_test_split.txt`, `classes.txt`,
`parts/part_locs.txt` and `parts/parts.txt` begin with the number of what they are about. Boxes are
x, y, width, height in pixels; that x = 0 is the edge of the picture is how tensorflow-datasets
reads them, the README does not say.
"""

from pathlib import Path

from saljax.data.annotations.example import Example, Keypoint, Object, from_sides

NEEDED = ("images.txt", "bounding_boxes.txt", "image_class_labels.txt", "classes.txt")
MORE = ("train_test_split.txt", "parts/part_locs.txt", "parts/parts.txt")


def files(path: Path) -> list[Path]:
    """Return the files of a folder, if it is this data set's."""
    if not all((path / name).is_file() for name in NEEDED):
        return []
    return [path / name for name in (*NEEDED, *MORE) if (path / name).is_file()]


def read(path: Path) -> list[Example]:
    """Read all pictures: one bird each, its species, box, and the parts of it that are seen.

    Raises:
        ValueError: a line is malformed, or a picture has no class or box.
    """
    species = _words(path, "classes.txt")
    of_image = _words(path, "image_class_labels.txt")
    boxes, parts = _words(path, "bounding_boxes.txt"), _parts(path)
    in_train = _words(path, "train_test_split.txt")
    found = []
    for number, words in _words(path, "images.txt").items():
        try:
            (image,) = words
            box = from_sides(*map(float, boxes[number]))
            (label,) = species[of_image[number][0]]
        except (KeyError, ValueError, TypeError, IndexError):
            raise ValueError(
                f"{path}: image {number}: expected a line with its class in "
                "image_class_labels.txt, and one with x, y, width, height in bounding_boxes.txt"
            ) from None
        split = {"1": "train", "0": "test"}.get(*in_train.get(number, ("",)))
        bird = Object(label, box, keypoints=parts.get(number, {}))
        found.append(Example(image, (bird,), split=split))
    return found


def _parts(path: Path) -> dict[str, dict[str, Keypoint]]:
    names = {number: " ".join(name) for number, name in _words(path, "parts/parts.txt").items()}
    found: dict[str, dict[str, Keypoint]] = {}
    for line in _lines(path, "parts/part_locs.txt"):
        try:
            image, part, x, y, visible = line
            if visible == "1":
                found.setdefault(image, {})[names[part]] = Keypoint(float(x), float(y))
        except (KeyError, ValueError):
            expected = "lines of image, part, x, y, visible, and the parts' names in parts.txt"
            raise ValueError(f"{path}: expected in part_locs.txt {expected}") from None
    return found


def _words(path: Path, name: str) -> dict[str, list[str]]:
    return {number: words for number, *words in _lines(path, name)}


def _lines(path: Path, name: str) -> list[list[str]]:
    if not (path / name).is_file():
        return []
    lines = (path / name).read_text("utf-8").splitlines()
    return [line.split() for line in lines if line.strip()]
