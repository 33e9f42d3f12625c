"""What a file of boxes may say, and what is said of one that says nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from saljax.data import box_files

TWO = [("a.jpg", "cat", [[1, 2, 3, 4], [5, 6, 7, 8]]), ("b.jpg", "dog", [[10, 20, 30, 40]])]


def read(folder, name, text, form=None):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = box_files.read(path, form)
    return [(one.file, one.label, one.corners.tolist()) for one in found]


def test_json(tmp_path):
    path = tmp_path / "boxes.json"
    records = [
        {"file": "a.jpg", "label": 65, "wnid": "n1", "boxes": [[1, 2, 3, 4]], "width": 9,
         "height": 8},
        {"file": "b.jpg", "wnid": "n01440764", "boxes": []},
        {"file": "a.jpg", "label": 65, "boxes": [[5, 6, 7.5, 8]]},
        {"file": "a.jpg", "label": "cat", "boxes": [[0, 0, 1, 1]], "who": "me"},
    ]  # fmt: skip
    path.write_text(json.dumps(records))
    first, second, third = box_files.read(path)
    assert (first.file, first.label) == ("a.jpg", "65")
    np.testing.assert_array_equal(first.corners, [[1, 2, 3, 4], [5, 6, 7.5, 8]])
    assert (second.file, second.label, len(second.corners)) == ("b.jpg", "n01440764", 0)
    assert (third.file, third.label) == ("a.jpg", "cat")


def test_size_of_the_picture_is_kept(tmp_path):
    path = tmp_path / "boxes.json"
    path.write_text('[{"file": "a", "boxes": [[0, 0, 1, 2]], "width": 9, "height": 8}]')
    assert box_files.read(path)[0].size == (8, 9)
    (tmp_path / "boxes.csv").write_text("image,width,height,x1,y1,x2,y2\na,9,8,0,0,1,2\n")
    assert box_files.read(tmp_path / "boxes.csv")[0].size == (8, 9)


COLUMNS = "image,x1,y1,x2,y2,label"
LINES = "a.jpg,1,2,3,4,cat\na.jpg,5,6,7,8,cat\nb.jpg,10,20,30,40,dog\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("b.csv", f"{COLUMNS}\n{LINES}"),
        ("b.csv", b"\xef\xbb\xbf" + f"{COLUMNS}\n{LINES}".replace("\n", "\r\n").encode()),
        ("b.CSV", LINES),
        ("b.csv", f"{COLUMNS}\n{LINES}".replace(",", ", ")),
        ("b.csv", f"{COLUMNS.upper()}\n{LINES}".replace(",", ";")),
        ("b.tsv", f"{COLUMNS}\n{LINES}".replace(",", "\t")),
        ("b.csv", f"\n{COLUMNS}\n{LINES},,,,,\n\n"),
        ("b.csv", f"filename,xmin,ymin,xmax,ymax,class\n{LINES}"),
        ("b.csv", f"ImageID,XMin,YMin,XMax,YMax,LabelName\n{LINES}"),
        (
            "b.csv",
            "label,y2,x2,note,y1,x1,file\ncat,4,3,,2,1,a.jpg\ncat,8,7,x,6,5,a.jpg\n"
            'dog,40,30,"x, y",20,10,b.jpg\n',
        ),
        (
            "b.jsonl",
            '{"file": "a.jpg", "label": "cat", "boxes": [[1, 2, 3, 4]]}\n\n'
            '{"image": "a.jpg", "class": "cat", "x1": 5, "y1": 6, "x2": 7, "y2": 8}\n'
            '{"Filename": "b.jpg", "label": "dog", "boxes": [[10, 20, 30, 40]]}\n',
        ),
        (
            "b.json",
            '{"a.jpg": {"label": "cat", "boxes": [[1, 2, 3, 4], [5, 6, 7, 8]]},'
            ' "b.jpg": [{"label": "dog", "boxes": [[10, 20, 30, 40]]}]}',
        ),
    ],
)
def test_forms_that_can_mean_only_one_thing(tmp_path, name, text):
    assert read(tmp_path, name, text) == TWO


def test_a_dictionary_of_boxes_alone_and_a_single_entry(tmp_path):
    box = [1.0, 2.0, 3.0, 4.0]
    text = '{"a.jpg": [[1, 2, 3, 4]], "b.jpg": []}'
    assert read(tmp_path, "b.json", text) == [("a.jpg", None, [box]), ("b.jpg", None, [])]
    text = '{"file": "a.jpg", "boxes": [[1, 2, 3, 4]]}'
    assert read(tmp_path, "b.json", text) == [("a.jpg", None, [box])]


def test_a_line_with_a_name_alone_is_a_picture_without_boxes(tmp_path):
    text = "image,x1,y1,x2,y2,label\na.jpg,1,2,3,4,\nb.jpg,,,,,\n"
    found = read(tmp_path, "b.csv", text)
    assert found == [("a.jpg", None, [[1, 2, 3, 4]]), ("b.jpg", None, [])]


def test_shares_of_the_sides_are_refused_until_somebody_says_so(tmp_path):
    text = "image,x1,y1,x2,y2\na.jpg,0.1,0.25,0.5,0.75\nb.jpg,0,0,1,1\n"
    with pytest.raises(ValueError, match=r"b\.csv: all corners lie in 0\.\.1.*--boxes-format norm"):
        read(tmp_path, "b.csv", text)
    for form, size in (("normalized", box_files.SHARES), ("pixels", None)):
        assert read(tmp_path, "b.csv", text, form)[0][2] == [[0.1, 0.25, 0.5, 0.75]]
        assert box_files.read(tmp_path / "b.csv", form)[0].size == size
    assert read(tmp_path, "b.csv", text + "c.jpg,0,0,1,2\n")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.jpg", "b.png", "c.jpg"], {"a.jpg": "a.jpg", "b.png": "b.png"}),
        (["val/a.jpg", "val\\b.png"], {"val/a.jpg": "a.jpg", "val\\b.png": "b.png"}),
        (["train/a.jpg", "photos/a.jpg"], {"photos/a.jpg": "a.jpg"}),
        (["train/a.jpg", "val/a.jpg"], {}),
        (["a", "b.JPEG", "d.1"], {"a": "a.jpg", "b.JPEG": "b.png", "d.1": "d.1.jpg"}),
        (["a.jpg", "a"], {"a.jpg": "a.jpg"}),
        (["two", "d"], {}),
        (["two.png"], {"two.png": "two.png"}),
    ],
)
def test_names_are_matched_by_what_is_unambiguous(names, expected):
    there = ["a.jpg", "b.png", "d.1.jpg", "two.jpg", "two.png"]
    found = box_files.matched(names, [Path("photos") / name for name in there])
    assert found == {name: Path("photos") / file for name, file in expected.items()}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("b.json", "{", "is not JSON"),
        ("b.json", "1", "expected a list of entries"),
        ("b.json", '{"a.jpg": 1}', "'a.jpg': boxes must be"),
        ("b.json", '[{"boxes": []}]', "record 1: names no picture; expected"),
        ("b.json", '[{"file": "a", "boxes": []}, 1]', "record 2: expected"),
        ("b.json", '[{"file": "a", "boxes": []}, {"file": "b"}]', "record 2: boxes must be"),
        ("b.jsonl", '{"file": "a", "boxes": []}\n{"file"\n', "line 2: is not JSON"),
        ("b.json", '[{"file": "a", "boxes": [[1, 2, 3]]}]', "record 1"),
        ("b.json", '[{"file": "a", "boxes": [1, 2, 3, 4]}]', "record 1"),
        ("b.json", '[{"file": "a", "boxes": [["1", "x", 3, 4]]}]', "record 1"),
        ("b.json", '[{"file": "a", "boxes": [], "width": 4}]', "record 1"),
        ("b.json", '[{"file": "a", "boxes": [], "width": 4.5, "height": 4}]', "record 1"),
        ("b.json", '[{"file": "a", "boxes": [], "width": Infinity, "height": 4}]', "record 1"),
        ("b.csv", "image,x,y,w,h\n", "must name the columns image,x1,.*it is 'image,x,y,w,h'"),
        ("b.csv", "", "is empty"),
        ("b.json", " \n", "is empty"),
        ("b.csv", "image,x1,y1,x2,y2\na.jpg,1,2,3,4\na.jpg,1,2,3\n", "line 3: "),
        ("b.csv", "x1,y1,x2,y2,image\n1,2,3,4\n", "line 2: "),
        ("b.csv", "image,x1,y1,x2,y2\n" + "a" * 200_000 + ",1,2,3,4\n", "line [12]: "),
        ("b.csv", "image,x1,y1,x2,y2\na.jpg,1,2,3,x\n", "line 2: boxes must be .* all numbers"),
        (
            "b.txt",
            "0 0.5 0.5 1 1",
            "is of no form .* COCO JSON.*; other boxes are .* a file .json,",
        ),
    ],
)
def test_malformed(tmp_path, name, text, says):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        box_files.read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "b.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="UTF-8"):
        box_files.read(path)
