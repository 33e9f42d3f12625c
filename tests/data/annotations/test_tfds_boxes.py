"""Boxes of TensorFlow Datasets, in pixels as those data sets were made."""

import io

import numpy as np
import pytest
from PIL import Image

from saljax.data import tfds_sources
from saljax.data.annotations import tfds_boxes
from saljax.data.annotations.example import by_class


class Source(list):
    """What `tensorflow_datasets.data_source` gives for a split."""

    def __init__(self, features, *examples):
        super().__init__(examples)
        self.dataset_info = type("Info", (), {"features": features})


def names(*given):
    return type("ClassLabel", (), {"names": given})


def png(width, height):
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "png")
    return file.getvalue()


def shares(x1, y1, x2, y2, width, height):
    return np.asarray([y1 / height, x1 / width, y2 / height, x2 / width], np.float32)


@pytest.fixture
def opened(monkeypatch):
    def opened(name, features, *examples, split="test"):
        monkeypatch.setattr(
            tfds_sources, "opened", lambda *of: {"train": [], split: Source(features, *examples)}
        )
        return tfds_boxes.read(name)

    return opened


@pytest.mark.parametrize(
    ("name", "given", "pixels"),
    [
        ("coco/2017", (48.12, 0, 152.5, 300), [48.12, 0, 151.5, 299]),  # edges
        ("voc/2007", (48, 1, 500, 375), [47, 0, 499, 374]),  # the first pixel is 1
        ("cars196:2.1.0", (1, 2, 500, 30), [0, 1, 499, 29]),
        ("caltech_birds2011", (60, 27, 385, 331), [60, 27, 384, 330]),
        ("stanford_dogs", (0, 10, 499, 374), [0, 10, 499, 374]),
    ],
)
def test_boxes_are_brought_back_to_pixels(opened, name, given, pixels):
    box, image = shares(*given, 500, 375), png(500, 375)
    if name.startswith(("coco", "voc")):
        features = {"image": 1, "objects": {"label": names("cat", "dog")}}
        one = {"image": image, "objects": {"bbox": [box], "label": [1]}}
    elif name == "stanford_dogs":
        features = {"image": 1, "objects": {}, "label": names("cat", "dog")}
        one = {"image": image, "label": 1, "objects": {"bbox": [box]}}
    else:
        features = {"image": 1, "label": names("cat", "dog"), "bbox": 1}
        one = {"image": image, "label": 1, "bbox": box}
    found = opened(name, features, one | {"image/filename": b"a.jpg"})
    assert found.number == 1 and found.picture(0).shape == (375, 500, 3)
    example = found.example(0)
    ((image, label, corners, size, _),) = by_class([example])
    assert (image, label, size) == ("a.jpg", "dog", (375, 500))
    np.testing.assert_allclose(corners, [pixels], atol=1e-9)


def test_flags_and_masks(opened):
    boxes = [shares(1, 1, 2, 2, 4, 4)] * 2
    objects = {"bbox": boxes, "label": [0, 0], "is_crowd": [True, False]}
    one = {"image": png(4, 4), "objects": objects | {"is_difficult": [False, True]}}
    found = opened(
        "coco", {"image": 1, "objects": {"label": names("a")}}, one, split="validation"
    ).example(0)
    assert [(o.crowd, o.difficult) for o in found.objects] == [(True, False), (False, True)]
    assert found.image == "coco validation 0"
    trimap = np.asarray([[1, 2], [3, 1]], np.uint8)[..., None]
    pet = {"image": png(2, 2), "label": 0, "head_bbox": np.zeros(4), "segmentation_mask": trimap}
    features = {"image": 1, "head_bbox": 1, "label": names("pug")}
    (one,) = opened("oxford_iiit_pet", features, pet).example(0).objects
    assert one.box is None and one.mask().tolist() == [[True, False], [False, True]]


def test_what_cannot_be_read_is_said_in_one_line(opened):
    with pytest.raises(ValueError, match="tfds:kitti: what its boxes mean is not known .* coco, "):
        opened("kitti", {"image": 1, "objects": {}})
    with pytest.raises(ValueError, match="tfds:nyu is not made of pictures with boxes or classes"):
        opened("nyu", {"image": 1, "depth": 2})
    with pytest.raises(ValueError, match="tfds:voc has no split to test on; it has train, more"):
        opened("voc", {}, split="more")


def test_classes_without_boxes(opened):
    """As of imagenet2012 and places365_small; -1 where the class is nobody's to know."""
    features = {"image": 1, "label": names("cat", "dog")}
    shown = {"image": png(4, 3), "file_name": b"a.jpg", "label": 1}
    found = opened("imagenet2012", features, shown, shown | {"label": -1}, split="validation")
    assert not found.has_boxes and found.content(0) == shown["image"]
    (one,), (hidden,) = (found.example(place).objects for place in range(2))
    assert one.label == "dog" and hidden.label is one.box is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("voc/2007", ("voc/2007", None)),
        ("voc/2007:test", ("voc/2007", "test")),
        ("cars196:2.1.0", ("cars196:2.1.0", None)),
        ("cars196:2.1.0:test", ("cars196:2.1.0", "test")),
    ],
)
def test_a_split_may_be_named(text, named):
    assert tfds_boxes.named(text) == named
