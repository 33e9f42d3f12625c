"""MATLAB files of cars."""

import numpy as np
import pytest
from scipy.io import savemat

from saljax.data import annotations, box_files

CLASSES = np.asarray(["AM General Hummer SUV 2000", "Acura RL Sedan 2012"], object)


def cars(path, **fields):
    kinds = [(name, object) for name in ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", *fields)]
    rows = zip((39, 1), (116, 2), (569, 10), (375, 20), *fields.values(), strict=True)
    return {"annotations": np.asarray(list(rows), kinds)}


@pytest.mark.filterwarnings("ignore")  # of scipy while it writes
def test_cars(tmp_path):
    kit = tmp_path / "cars_train_annos.mat"
    fields = {"class": (2, 1), "fname": ("00001.jpg", "00002.jpg")}
    savemat(kit, cars(kit, **fields))
    boxes = [[[38, 115, 568, 374]], [[0, 1, 9, 19]]]
    found = [(one.file, one.label, one.corners.tolist()) for one in box_files.read(kit)]
    assert found == [("00001.jpg", "1", boxes[0]), ("00002.jpg", "0", boxes[1])]
    savemat(tmp_path / "cars_meta.mat", {"class_names": CLASSES})
    assert [one.label for one in box_files.read(kit)] == [CLASSES[1], CLASSES[0]]
    together = tmp_path / "cars_annos.mat"
    fields = {"class": (2, 1), "relative_im_path": ("car_ims/1.jpg", "car_ims/2.jpg")}
    savemat(together, cars(together, **fields, test=(0, 1)) | {"class_names": CLASSES[::-1]})
    first, second = annotations.read(together)
    assert (first.image, first.split, second.split) == ("car_ims/1.jpg", "train", "test")
    assert first.objects[0].label == CLASSES[0]


def test_malformed(tmp_path):
    path = tmp_path / "cars_annos.mat"
    path.write_text("nothing")
    with pytest.raises(ValueError, match="is not a MATLAB file"):
        annotations.read(path)
    savemat(path, {"annotations": np.zeros(3)})
    with pytest.raises(ValueError, match="expected annotations of bbox_x1"):
        annotations.read(path)
