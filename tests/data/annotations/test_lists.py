"""Lists of pictures, classes and boxes: of ImageNet, Places365, birds and aircraft."""

import pytest

from saljax.data import annotations, box_files
from saljax.data.annotations import forms
from saljax.models import labels


def put(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".txt").write_text(text)
    return folder


def found(path):
    return [(one.file, one.label, one.corners.tolist()) for one in box_files.read(path)]


def test_imagenet_solution(tmp_path):
    path = tmp_path / "LOC_val_solution.csv"
    path.write_text(
        "ImageId,PredictionString\nval_1,n03995372 85 1 499 272 \n"
        "val_2,n02481823 0 10 300 200 n02481823 5 6 7 8 n01440764 1 2 3 4\n"
    )
    assert found(path) == [
        ("val_1", "n03995372", [[85, 1, 499, 272]]),
        ("val_2", "n02481823", [[0, 10, 300, 200], [5, 6, 7, 8]]),
        ("val_2", "n01440764", [[1, 2, 3, 4]]),
    ]
    path.write_text("ImageId,PredictionString\nval_1,n03995372 85 1 499\n")
    with pytest.raises(ValueError, match="line 2: expected ID,WORDNET_ID x1 y1 x2 y2"):
        box_files.read(path)


def test_places365(tmp_path):
    """Without the names of its classes these are indices, which are a classifier's own."""
    path = put(tmp_path, places365_val="Places365_val_00000001.jpg 26\n/a/b c.jpg 8\n")
    path /= "places365_val.txt"
    assert found(path) == [("Places365_val_00000001.jpg", "26", []), ("/a/b c.jpg", "8", [])]
    digest = forms.sha256(path)
    put(tmp_path, categories_places365="/a/apartment_building/outdoor 8\n/b/badlands 26\n")
    names = [label for _, label, _ in found(path)]
    assert names == ["badlands", "apartment building (outdoor)"]
    assert labels.find_class(names[1], labels.places365()) == 8
    assert forms.sha256(path) == digest  # of a file it is the file's
    path.write_text("a.jpg 1\nb.jpg\n")
    with pytest.raises(ValueError, match="line 2: expected PICTURE CLASS, got 'b.jpg'"):
        box_files.read(path)


BIRDS = {
    "images": "1 001.Grebe/a.jpg\n2 002.Tern/b.jpg\n",
    "classes": "1 001.Grebe\n2 002.Tern\n",
    "image_class_labels": "1 1\n2 2\n",
    "bounding_boxes": "1 60.0 27.0 325.0 304.0\n2 0.0 1.0 2.5 3.0\n",
}


def test_birds(tmp_path):
    put(tmp_path, **BIRDS)
    assert found(tmp_path) == [
        ("001.Grebe/a.jpg", "001.Grebe", [[60, 27, 384, 330]]),
        ("002.Tern/b.jpg", "002.Tern", [[0, 1, 1.5, 3]]),
    ]
    digest = forms.sha256(tmp_path)
    put(
        tmp_path,
        train_test_split="1 0\n2 1\n",
        parts__parts="1 back\n7 left eye\n",
        parts__part_locs="1 1 0.0 0.0 0\n1 7 312.0 182.0 1\n",
    )
    first, second = annotations.read(tmp_path)
    assert (first.split, second.split) == ("test", "train")
    assert first.objects[0].keypoints == {"left eye": (312, 182, True)}
    assert forms.sha256(tmp_path) != digest
    (tmp_path / "bounding_boxes.txt").write_text("1 60.0 27.0 325.0 304.0\n")
    with pytest.raises(ValueError, match="image 2: expected a line with its class"):
        annotations.read(tmp_path)


@pytest.mark.parametrize("place", ["", "data", "data/images_box.txt"])
def test_aircraft_count_from_one(tmp_path, place):
    put(
        tmp_path,
        data__images_box="1025794 3 144 998 431\n0062765 1 1 10 20\n",
        data__images_variant_test="0062765 F/A-18 B\n",
    )
    path = tmp_path / place
    boxes = [("1025794", None, [[2, 143, 997, 430]]), ("0062765", "F/A-18 B", [[0, 0, 9, 19]])]
    assert found(path) == boxes
    assert [one.split for one in annotations.read(path)] == [None, "test"]
