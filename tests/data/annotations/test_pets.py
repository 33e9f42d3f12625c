"""Trimaps of pets."""

import numpy as np
import pytest
from PIL import Image

from saljax.data import annotations, box_files


@pytest.mark.parametrize("place", ["", "annotations"])
def test_a_pet_has_the_smallest_box_around_its_pixels(tmp_path, place):
    trimap = np.full((6, 8), 2, np.uint8)
    trimap[1:5, 2:7] = 3
    trimap[2, 3:5] = trimap[3, 4] = 1
    folder = tmp_path / "annotations"
    for name in ("trimaps", "xmls"):
        (folder / name).mkdir(parents=True)
    (folder / "xmls" / "Egyptian_Mau_14.xml").write_text("<annotation></annotation>")
    (folder / "list.txt").write_text("#Image CLASS-ID SPECIES BREED ID\nEgyptian_Mau_14 9 1 5\n")
    (folder / "test.txt").write_text("Egyptian_Mau_14 9 1 5\n")
    Image.fromarray(trimap).save(folder / "trimaps" / "Egyptian_Mau_14.png")
    (folder / "trimaps" / "._Egyptian_Mau_14.png").write_text("no picture")
    (one,) = annotations.read(tmp_path / place)
    assert (one.image, one.split) == ("Egyptian_Mau_14.jpg", "test")
    np.testing.assert_array_equal(one.objects[0].mask(), trimap == 1)
    (boxes,) = box_files.read(tmp_path / place)
    assert (boxes.label, boxes.corners.tolist()) == ("Egyptian_Mau", [[3, 2, 4, 3]])
