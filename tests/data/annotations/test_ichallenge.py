"""Lesions and foveas of fundus photographs."""

import numpy as np
import pytest
from PIL import Image

from saljax.data import annotations, box_files


@pytest.fixture
def palm(tmp_path):
    """P0001 has both lesions, V0002 is ill by the sheet and has none, N0003 is healthy."""
    lesions = {"Atrophy": np.s_[1:3, 2:5], "Detachment": np.s_[4, 6]}
    for lesion, where in lesions.items():
        folder = tmp_path / "train" / "Lesion_Masks" / lesion
        folder.mkdir(parents=True)
        mask = np.full((6, 8), 255, np.uint8)
        mask[where] = 0
        Image.fromarray(mask).save(folder / "P0001.bmp")
    (tmp_path / "Fovea.csv").write_text(
        "ID,imgName,Label,Fovea_X,Fovea_Y\n1,P0001.jpg,1,3.5,2\n2,V0002.jpg,1,0,0\n3,N0003.jpg,0,1,1\n"
    )
    return tmp_path


def test_lesions_are_black_and_one_object(palm):
    found = {one.image: one for one in annotations.read(palm)}
    first, healthy, second = (found.pop(f"{name}.jpg") for name in ("P0001", "N0003", "V0002"))
    assert not found
    expected = np.zeros((6, 8), bool)
    expected[1:3, 2:5] = expected[4, 6] = True
    np.testing.assert_array_equal(first.objects[0].mask(), expected)
    labels = [one.objects[0].label for one in (first, healthy, second)]
    assert labels == ["pathological myopia", "not pathological", "pathological myopia"]
    assert first.objects[0].keypoints["fovea"][:2] == (3.5, 2)
    assert second.objects[0].keypoints == {} and second.objects[0].mask is None
    of_first = next(one for one in box_files.read(palm) if len(one.corners))
    assert of_first.corners.tolist() == [[2, 1, 6, 4]]


def test_a_sheet_that_is_none(palm):
    (palm / "Fovea.csv").write_text("imgName,Fovea_X,Fovea_Y\nP0001.jpg,left,2\n")
    with pytest.raises(ValueError, match="Fovea.csv, line 2: expected .* numbers"):
        annotations.read(palm)
