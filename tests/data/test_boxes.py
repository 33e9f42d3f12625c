"""Boxes: what a file may say, and where a box lies for the classifier."""

import json

import numpy as np
import pytest

from saljax.data import boxes, folders


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
    first, second, third = boxes.read(path)
    assert (first.file, first.label) == ("a.jpg", "65")
    np.testing.assert_array_equal(first.corners, [[1, 2, 3, 4], [5, 6, 7.5, 8]])
    assert (second.file, second.label, len(second.corners)) == ("b.jpg", "n01440764", 0)
    assert (third.file, third.label) == ("a.jpg", "cat")


def test_size_of_the_picture_is_kept(tmp_path):
    path = tmp_path / "boxes.json"
    path.write_text('[{"file": "a", "boxes": [[0, 0, 1, 1]], "width": 9, "height": 8}]')
    assert boxes.read(path)[0].size == (8, 9)


def test_csv(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text(
        "image,x1,y1,x2,y2,label\na.jpg,1,2,3,4,cat\na.jpg,5,6,7,8,cat\nb.jpg,0,0,1,1,\n",
        "utf-8-sig",
    )
    first, second = boxes.read(path)
    assert (first.label, second.label) == ("cat", None)
    np.testing.assert_array_equal(first.corners, [[1, 2, 3, 4], [5, 6, 7, 8]])
    path.write_text("x1,y1,x2,y2,image\n1,2,3,4,a.jpg\n")
    np.testing.assert_array_equal(boxes.read(path)[0].corners, [[1, 2, 3, 4]])


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("b.json", "{", "is not JSON"),
        ("b.json", '{"a.jpg": []}', "expected a list of records"),
        ("b.json", '[{"boxes": []}]', "record 1: expected"),
        ("b.json", '[{"file": "a", "boxes": []}, {"file": "b"}]', 'record 2: "boxes" must be'),
        ("b.json", '[{"file": "a", "boxes": [[1, 2, 3]]}]', "record 1"),
        ("b.json", '[{"file": "a", "boxes": [1, 2, 3, 4]}]', "record 1"),
        ("b.json", '[{"file": "a", "boxes": [["1", "x", 3, 4]]}]', "record 1"),
        ("b.json", '[{"file": "a", "boxes": [], "width": 4}]', "record 1"),
        ("b.csv", "a.jpg,1,2,3,4\n", "first line must name the columns image,x1,y1,x2,y2"),
        ("b.csv", "", "first line"),
        ("b.csv", "image,x1,y1,x2,y2\na.jpg,1,2,3,4\na.jpg,1,2,3\n", "line 3: "),
        ("b.xml", "<annotation/>", "boxes are read from"),
    ],
)
def test_malformed(tmp_path, name, text, says):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        boxes.read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "b.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="UTF-8"):
        boxes.read(path)


def test_wrong_boxes():
    good = [[0, 0, 9, 7], [-3, -3, 2, 2], [5, 5, 40, 40], [8.5, 6.5, 9, 7]]
    bad = [
        [3, 3, 3, 6], [3, 6, 6, 6], [6, 3, 3, 6], [9, 0, 12, 4], [0, 7, 4, 12], [-5, -5, -1, -1],
        [np.nan, 0, 4, 4],
    ]  # fmt: skip
    found = boxes.wrong(np.asarray(good + bad, float), (8, 10))
    assert found.tolist() == [False] * len(good) + [True] * len(bad)


@pytest.mark.parametrize("size", [(96, 128), (128, 96), (64, 64), (300, 41)])
@pytest.mark.parametrize(("resize", "crop"), [(32, 24), (32, 32), (32, None)])
def test_a_box_follows_what_it_holds(size, resize, crop):
    """A bright patch of the picture lies after `prepare` where its box lies after `follow`."""
    height, width = size
    y1, y2, x1, x2 = int(0.4 * height), int(0.55 * height), int(0.35 * width), int(0.6 * width)
    picture = np.zeros((height, width, 3), np.float32)
    picture[y1 : y2 + 1, x1 : x2 + 1] = 1
    seen = folders.prepare(picture, resize, crop)[..., 0]
    side = crop or resize
    (box,) = boxes.follow(np.asarray([[x1, y1, x2, y2]], float), size, resize, crop)
    rows, columns = (np.flatnonzero(seen.max(axis) > 0.5) for axis in (1, 0))
    found = [columns[0], rows[0], columns[-1], rows[-1]]
    assert seen.shape == (side, side)
    np.testing.assert_allclose(box, found, atol=1.01)


def test_what_the_crop_leaves_of_a_box():
    """96 x 192 pixels to a short side of 48, then the central 32: columns 32 to 64 of 96."""
    given = [[0, 0, 191, 95], [0, 0, 63, 95], [60, 0, 80, 95], [0, 0, 191, 15], [96, 40, 100, 48]]
    found = boxes.follow(np.asarray(given, float), (96, 192), 48, 32)
    expected = [[0, 0, 31, 31], [0, 0, 8, 31], [16, 12, 18, 16]]
    np.testing.assert_allclose(found, expected)
    assert found.dtype == np.float32


def test_padded():
    found = boxes.padded([[1, 2, 3, 4]], 3)
    np.testing.assert_array_equal(found[0], [1, 2, 3, 4])
    assert found.shape == (3, 4) and np.isnan(found[1:]).all()
    assert np.isnan(boxes.padded([], 1)).all()
