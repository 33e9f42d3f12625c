"""COCO's JSON: its boxes, outlines, run lengths, keypoints and crowds."""

import json

import numpy as np
import pytest

from saljax.data import annotations, box_files
from saljax.data.annotations import outlines

CATEGORIES = [
    {"id": 1, "name": "person", "keypoints": ["nose", "left_eye", "right_eye"]},
    {"id": 18, "name": "dog"},
]
IMAGES = [
    {"id": 7, "file_name": "a.jpg", "height": 6, "width": 8},
    {"id": 9, "coco_url": "http://images/b.jpg", "height": 5, "width": 7},
    {"id": 11, "file_name": "c.jpg", "height": 4, "width": 4},
]
# Columns 2, 3 and 4 of rows 1 to 3, the last pixel of the first row and the first of the last, as
# pycocotools 2.0.11 writes them.
RUNS = {"size": [5, 7], "counts": "4162L0004NN"}
DOG = {"image_id": 7, "category_id": 18}


def coco(folder, *objects, **more):
    path = folder / "instances.json"
    content = {"images": IMAGES, "categories": CATEGORIES, "annotations": objects} | more
    path.write_text(json.dumps(content))
    return path


def test_edges_become_first_and_last_pixels(tmp_path):
    """x, y, width, height: from x on, `width` pixels."""
    path = coco(tmp_path, DOG | {"bbox": [2, 1, 3, 4]}, DOG | {"bbox": [0.5, 0, 7.5, 6]})
    first, second, third = annotations.read(path)
    assert [one.box.tolist() for one in first.objects] == [[2, 1, 4, 4], [0.5, 0, 7, 5]]
    assert first.size == (6, 8) and {one.label for one in first.objects} == {"dog"}
    assert (second.image, third.image) == ("b.jpg", "c.jpg") and second.objects == ()
    (boxes,) = box_files.read(path)
    assert (boxes.file, boxes.label, boxes.size) == ("a.jpg", "dog", (6, 8))
    np.testing.assert_array_equal(boxes.corners, [[2, 1, 4, 4], [0.5, 0, 7, 5]])
    with pytest.raises(ValueError, match="COCO JSON has pixels; leave --boxes-format out"):
        box_files.read(path, "normalized")


def test_crowds_are_flagged_and_not_judged_by(tmp_path):
    crowd = {"iscrowd": 1, "bbox": [0, 0, 7, 5], "segmentation": RUNS}
    path = coco(
        tmp_path,
        {"image_id": 9, "category_id": 1} | crowd,
        {"image_id": 9, "category_id": 18, "bbox": [1, 1, 2, 2]},
    )
    assert [one.crowd for one in annotations.read(path)[1].objects] == [True, False]
    assert [(one.file, one.label) for one in box_files.read(path)] == [("b.jpg", "dog")]


def test_masks_of_runs_and_of_outlines(tmp_path):
    wanted = np.zeros((5, 7), bool)
    wanted[1:4, 2:5] = wanted[0, 6] = wanted[4, 0] = True
    counts = [4, 1, 6, 3, 2, 3, 2, 3, 6, 1, 4]  # down the columns
    two = [[2, 1, 5, 1, 5, 4, 2, 4], [6, 0, 7, 0, 7, 1, 6, 1]]
    path = coco(
        tmp_path,
        *(
            {"image_id": 9, "category_id": 1, "bbox": [0, 0, 7, 5], "segmentation": given}
            for given in (RUNS, {"size": [5, 7], "counts": counts}, two)
        ),
    )
    compressed, runs, polygons = (one.mask() for one in annotations.read(path)[1].objects)
    np.testing.assert_array_equal(compressed, wanted)
    np.testing.assert_array_equal(runs, wanted)
    wanted[4, 0] = False
    np.testing.assert_array_equal(polygons, wanted)


def test_long_runs_have_several_characters():
    """240 rows of five columns of 300, and two pixels far away, as pycocotools 2.0.11 writes."""
    counts = outlines.run_lengths("bi8`7l10000000cd]2bH^b_N")
    wanted = np.zeros((300, 400), bool)
    wanted[10:250, 30:35] = wanted[17:19, 300] = True
    np.testing.assert_array_equal(outlines.of_runs(counts, (300, 400)), wanted)
    for wrong in ("bi8`", "4 1"):
        with pytest.raises(ValueError, match="run lengths"):
            outlines.run_lengths(wrong)
    with pytest.raises(ValueError, match="runs of 5 pixels for a picture of 6"):
        outlines.of_runs([2, 3], (2, 3))


def test_an_outline_has_the_pixels_whose_centers_it_holds():
    """Each center by itself: an odd number of edges lies to its right."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        corners, wanted = rng.uniform(-2, 12, (5, 2)), np.zeros((9, 10), bool)
        for row, column in np.ndindex(9, 10):
            x, y = column + 0.5, row + 0.5
            for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
                if min(y1, y2) <= y < max(y1, y2) and x1 + (y - y1) / (y2 - y1) * (x2 - x1) > x:
                    wanted[row, column] ^= True
        np.testing.assert_array_equal(outlines.of_polygons([corners], (9, 10)), wanted)


def test_keypoints_that_were_annotated(tmp_path):
    person = {"image_id": 7, "category_id": 1, "bbox": [0, 0, 4, 4]}
    path = coco(tmp_path, person | {"keypoints": [3, 2, 2, 0, 0, 0, 5, 1, 1]})
    (one,) = annotations.read(path)[0].objects
    assert one.keypoints == {"nose": (3, 2, True), "right_eye": (5, 1, False)}


@pytest.mark.parametrize(
    ("objects", "more", "says"),
    [
        ([{"image_id": 7, "caption": "a dog"}], {}, "annotation 1: expected image_id"),
        ([DOG | {"bbox": [1, 2, 3]}], {}, "annotation 1: expected image_id"),
        ([DOG | {"bbox": [1, 2, 3, 4], "image_id": 1}], {}, "annotation 1: expected image_id"),
        ([DOG | {"bbox": [1, 2, 3, 4], "category_id": 2}], {}, "annotation 1: expected image_id"),
        ([DOG | {"bbox": [0.1, 0.2, 0.3, 0.4]}], {}, "all boxes lie in 0..1; COCO's are in pixels"),
        ([], {"images": [{"id": 1}]}, "not quite COCO's form; expected images of id"),
    ],
)
def test_malformed(tmp_path, objects, more, says):
    with pytest.raises(ValueError, match=says) as caught:
        box_files.read(coco(tmp_path, *objects, **more))
    assert "\n" not in str(caught.value)


def test_a_category_may_be_missing(tmp_path):
    path = coco(tmp_path, DOG | {"bbox": [2, 1, 3, 4]}, categories=[])
    assert annotations.read(path)[0].objects[0].label is None
