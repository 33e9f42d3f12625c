"""Pictures, classes and boxes brought together."""

import json

import pytest
from PIL import Image

from saljax.evaluation.cases import gather

LABELS = ("red", "green", "blue")


@pytest.fixture
def told():
    return []


@pytest.fixture
def gathered(tmp_path, told):
    """A function of the pictures there are, `{folder: number}`, and the boxes."""

    def gathered(pictures, boxes=None, by_label=None, number=None):
        for folder, count in pictures.items():
            (tmp_path / "in" / folder).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (8, 8)).save(tmp_path / "in" / folder / f"{i}.png")
        file = boxes and tmp_path / "boxes.json"
        if boxes:
            file.write_text(json.dumps(boxes))

        def tell(what, text):
            told.append(text)

        return gather(tmp_path / "in", file, LABELS, by_label, number, tell, note=tell)

    return gathered


def shown(cases):
    return [(case.image, case.target) for case in cases]


def test_folders_are_labels(gathered, told):
    cases, by_label = gathered({"blue": 2, "grene": 1, "red": 1, "none": 0})
    assert by_label and shown(cases) == [("blue/0.png", 2), ("blue/1.png", 2), ("red/0.png", 0)]
    assert [case.name for case in cases] == ["0", "1", "0-2"]
    assert len(told) == 2
    assert "without images" in told[0] and "'grene'" in told[1] and "left out" in told[1]


def test_what_is_learned_from_is_not_tested_on(gathered, told):
    cases, _ = gathered({"train/red": 2, "train/blue": 2, "val/red": 1})
    assert shown(cases) == [("val/red/0.png", 0)]
    assert told == ["testing on val; train is passed over"]


def test_of_class_folders_the_first_in_turn(gathered):
    cases, by_label = gathered({"blue": 3, "green": 1, "red": 3}, number=5, by_label=False)
    assert not by_label
    images = ["blue/0.png", "blue/1.png", "green/0.png", "red/0.png", "red/1.png"]
    assert shown(cases) == [(image, None) for image in images]


def test_boxes_without_labels_are_of_the_class_of_the_folder(gathered, told):
    """And those with labels of theirs."""
    boxes = [
        {"file": "red/0.png", "boxes": [[1, 2, 3, 4]]},
        {"file": "blue/0.png", "boxes": [[1, 1, 2, 2]], "label": "green"},
        {"file": "elsewhere.png", "boxes": [[1, 1, 2, 2]]},
    ]
    cases, _ = gathered({"blue": 2, "red": 1}, boxes)
    assert shown(cases) == [("blue/0.png", 1), ("blue/1.png", 2), ("red/0.png", 0)]
    assert [case.corners.tolist() for case in cases] == [[[1, 1, 2, 2]], [], [[1, 2, 3, 4]]]
    assert len(told) == 2 and "1 picture (elsewhere.png)" in told[0]
    assert "without boxes" in told[1] and "measured without" in told[1]


@pytest.mark.parametrize(
    ("pictures", "says"),
    [
        ({".": 0}, "in: is a directory without images"),
        ({"red": 0}, "in: is a directory without images"),
        ({"cyan": 1}, "none of its folders is named after a class"),
    ],
)
def test_nothing_that_can_be_explained(gathered, pictures, says):
    with pytest.raises(ValueError, match=says):
        gathered(pictures)


def test_pictures_of_a_split(tmp_path, gathered):
    """Of a data set that says which is which, only those; of others it is refused."""
    gathered({".": 3})
    aircraft = tmp_path / "fgvc"
    aircraft.mkdir()
    (aircraft / "images_box.txt").write_text("".join(f"{i} 1 1 4 4\n" for i in range(3)))
    (aircraft / "images_variant_train.txt").write_text("0 red\n")
    (aircraft / "images_variant_test.txt").write_text("1 green\n2 blue\n")

    def of(boxes, split):
        complain = pytest.fail
        return gather(
            tmp_path / "in", boxes, LABELS, None, None, complain, note=complain, split=split
        )[0]

    assert shown(of(aircraft, "train")) == [("0.png", 0)]
    assert shown(of(aircraft, "test")) == [("1.png", 1), ("2.png", 2)]
    assert len(of(aircraft, None)) == 3
    (aircraft / "images_variant_test.txt").unlink()
    with pytest.raises(ValueError, match="has no split test; it has train"):
        of(aircraft, "test")
    (tmp_path / "boxes.json").write_text('[{"file": "0.png", "boxes": [[1, 1, 2, 2]]}]')
    with pytest.raises(ValueError, match="no split test; it does not say which pictures"):
        of(tmp_path / "boxes.json", "test")
