"""Boxes, masks and keypoints move like the pixels of their picture."""

import numpy as np
import pytest

from saljax.data import folders
from saljax.data.annotations import Example, Keypoint, Object
from saljax.data.annotations.example import around
from saljax.data.annotations.framed import framed

FRAMES = [(32, None, False), (32, 24, False), (32, None, True)]
POINTS = {"eye": Keypoint(2, 1), "tail": Keypoint(9, 4, False)}


def annotated(size, box):
    x1, y1, x2, y2 = box
    mask = np.zeros(size, bool)
    mask[y1 : y2 + 1, x1 : x2 + 1] = True
    middle = Keypoint((x1 + x2) / 2, (y1 + y2) / 2, False)
    one = Object("a", np.asarray(box, float), lambda: mask, {"middle": middle})
    return Example("a.jpg", (one,), size)


@pytest.mark.parametrize("frame", FRAMES)
def test_a_box_is_its_mask(frame):
    rng, seen = np.random.default_rng(0), 0
    for _ in range(100):
        height, width = size = tuple(rng.integers(20, 90, 2).tolist())
        x, y = np.sort(rng.integers(0, width, 2)), np.sort(rng.integers(0, height, 2))
        example = framed(annotated(size, [x[0], y[0], x[1], y[1]]), size, *frame)
        side = frame[1] or frame[0]
        assert example.size == (side, side)
        for one in example.objects:
            mask = one.mask()
            if mask.any():  # else less than a pixel of the box is left
                seen += 1
                np.testing.assert_array_equal(around(mask), one.box)
    assert seen > 60


@pytest.mark.parametrize("frame", FRAMES)
def test_a_mask_and_a_keypoint_follow_what_they_are_of(frame):
    """A bright patch of the picture, by `folders.prepare`, which knows nothing of annotations."""
    rng, away = np.random.default_rng(1), []
    for _ in range(30):
        height, width = size = tuple(rng.integers(40, 120, 2).tolist())
        low, high = 0.4 + 0.05 * rng.random(2), 0.55 + 0.05 * rng.random(2)
        (x1, y1), (x2, y2) = (ends * (width, height) // 1 for ends in (low, high))
        example = annotated(size, [int(end) for end in (x1, y1, x2, y2)])
        picture = np.repeat(example.objects[0].mask()[..., None], 3, -1).astype(np.float32)
        bright = folders.prepare(picture, *frame)[..., 0]
        (one,) = framed(example, size, *frame).objects
        outline = (bright > 0.01) & (bright < 0.99)
        assert ((one.mask() == (bright > 0.5)) | outline).all()
        point = one.keypoints["middle"]
        middle = [
            (at * bright).sum() / bright.sum() for at in np.mgrid[: len(bright), : len(bright)]
        ]
        away.append([point.y - middle[0], point.x - middle[1]])
        assert not point.visible
    assert np.abs(away).max() < 0.1


def test_by_hand():
    """10 x 6 pixels: twice as large in 20 x 20, rows 4 to 15 of which are the picture."""
    example = Example("a", (Object("b", np.asarray([0.0, 0, 9, 5]), keypoints=POINTS),))
    (one,) = framed(example, (6, 10), 20, None, True).objects
    assert one.box.tolist() == [0, 4, 19, 15]
    assert one.keypoints == {"eye": (4.5, 6.5, True), "tail": (18.5, 12.5, False)}
    (one,) = framed(example, (6, 10), 6, 6).objects  # columns 2 to 7
    assert one.box.tolist() == [0, 0, 5, 5] and one.keypoints == {"eye": (0, 1, True)}
    beside = Example("a", (Object("b", np.asarray([8.0, 0, 9, 5])), Object("c")))
    assert [one.label for one in framed(beside, (6, 10), 6, 6).objects] == ["c"]
    beyond = Example("a", (Object("b", np.asarray([-3.0, -3, 4, 20])),))
    assert framed(beyond, (6, 10), 20, None, True).objects[0].box.tolist() == [0, 4, 9, 15]
    with pytest.raises(ValueError, match=r"annotated at \(6, 10\), the file has \(6, 9\)"):
        framed(example._replace(size=(6, 10)), (6, 9), 6)
    wrong = Example("a", (Object("b", mask=lambda: np.ones((2, 2), bool)),))
    with pytest.raises(ValueError, match="a mask of"):
        framed(wrong, (6, 10), 6).objects[0].mask()
