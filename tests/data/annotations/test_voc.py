"""XML in the form of Pascal VOC, and ImageNet's in the same form."""

import numpy as np
import pytest
from PIL import Image

from saljax.data import annotations, box_files
from saljax.data.annotations import forms


def xml(path, *objects, database="The VOC2007 Database", filename=None, segmented=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    boxes = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x1}</xmin>"
        f"<ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, difficult, (x1, y1, x2, y2) in objects
    )
    path.write_text(
        f"<annotation><filename>{filename or path.stem + '.jpg'}</filename><source><database>"
        f"{database}</database></source><size><width>8</width><height>6</height></size>"
        f"<segmented>{segmented}</segmented>{boxes}</annotation>"
    )
    return path


def found(path):
    return [(one.file, one.label, one.corners.tolist()) for one in box_files.read(path)]


def test_voc_counts_from_one_and_corners_are_inside(tmp_path):
    xml(tmp_path / "VOC2007" / "Annotations" / "000001.xml", ("dog", 0, (1, 2, 8, 6)))
    wanted = ("dog", [[0, 1, 7, 5]])
    assert found(tmp_path / "VOC2007") == [("000001.jpg", *wanted)]
    assert found(tmp_path / "VOC2007/Annotations/000001.xml") == [("000001.jpg", *wanted)]
    (one,) = annotations.read(tmp_path / "VOC2007" / "Annotations")
    assert one.size == (6, 8)


def test_a_class_with_nothing_but_difficult_objects_is_not_judged(tmp_path):
    easy, hard = (0, (2, 2, 3, 3)), (1, (4, 4, 5, 5))
    xml(tmp_path / "a.xml", ("dog", *easy), ("dog", *hard), ("cat", *hard))
    assert found(tmp_path) == [("a.jpg", "dog", [[1, 1, 2, 2], [3, 3, 4, 4]])]
    difficult = [one.difficult for one in annotations.read(tmp_path)[0].objects]
    assert difficult == [False, True, True]


@pytest.mark.parametrize(
    ("label", "database", "corners"),
    [
        ("n01440764", "ILSVRC_2012", (0, 10, 3, 12)),
        ("n01440764", "Unknown", (1, 10, 3, 12)),
        ("Chihuahua", "ImageNet database", (1, 10, 3, 12)),
        ("dog", "Unknown", (0, 10, 3, 12)),
    ],
)
def test_imagenet_counts_from_zero(tmp_path, label, database, corners):
    """And so does whoever has a corner of 0."""
    box = (label, 0, corners)
    xml(tmp_path / "val" / "a.xml", box, database=database, filename="a")
    assert found(tmp_path) == [("val/a", label, [list(corners)])]


def test_pictures_are_told_apart_by_their_folders(tmp_path):
    """Stanford Dogs has no ending, and some of ImageNet's no name."""
    for breed in ("n1-a", "n2-b"):
        path = xml(tmp_path / "Annotation" / breed / "1.xml", ("a", 0, (1, 1, 2, 2)), filename="%s")
        path.rename(path.with_suffix(""))
    assert [name for name, *_ in found(tmp_path)] == ["n1-a/1", "n2-b/1"]


def test_masks_of_objects(tmp_path):
    box = (1, 1, 2, 2)
    xml(tmp_path / "Annotations/a.xml", ("dog", 0, box), ("cat", 0, box), segmented=1)
    numbers = np.zeros((6, 8), np.uint8)
    numbers[0, 0], numbers[1:3, 4], numbers[5] = 1, 2, 255
    (tmp_path / "SegmentationObject").mkdir()
    picture = Image.fromarray(numbers).convert("P")
    picture.putpalette(bytes(range(256)) * 3)
    picture.save(tmp_path / "SegmentationObject" / "a.png")
    masks = [one.mask() for one in annotations.read(tmp_path)[0].objects]
    np.testing.assert_array_equal(masks, [numbers == 1, numbers == 2])
    before = [forms.sha256(place) for place in (tmp_path, tmp_path / "Annotations")]
    numbers[3, 3] = 1
    Image.fromarray(numbers).save(tmp_path / "SegmentationObject" / "a.png")
    after = [forms.sha256(place) for place in (tmp_path, tmp_path / "Annotations")]
    assert len({*before, *after}) == 4


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<annotation><object>", "is not XML"),
        ("<annotation><object><name>a</name></object></annotation>", "expected object, with name"),
        ("<note/>", "is of no form of annotations that is read here: .*VOC"),
    ],
)
def test_malformed(tmp_path, text, says):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        annotations.read(tmp_path / "a.xml")
    assert str(tmp_path / "a.xml") in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "notes.md").write_text("nothing")
    with pytest.raises(ValueError, match=r"recognized in this folder \(found notes.md\); read are"):
        box_files.read(tmp_path)
