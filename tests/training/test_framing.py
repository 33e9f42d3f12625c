"""Held-out pictures are what the classifier is shown when it is explained."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saljax.data import class_folders, folders
from saljax.models.zoo import ModelInfo
from saljax.runs import inputs
from saljax.training import framing


def about(resize, crop, side):
    return ModelInfo("tiny", "", (side, side, 3), resize, crop, True, ("a", "b"), "none")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / name).mkdir()
        for number in range(2):
            pixels = rng.integers(0, 256, (23, 31, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return class_folders.read_classes(folder)


def framed(found, about, image_size=None):
    return framing.framed(found, about, image_size, lambda *what: None, lambda: None)


@pytest.mark.parametrize(("resize", "crop"), [(16, 12), (12, None)])
def test_held_out_frames_are_those_of_explain(found, resize, crop):
    model = about(resize, crop, 12)
    data = framed(found, model)
    assert data.side == 12 and data.classes == ("a", "b")
    for index, name in enumerate(data.held_out.names):
        expected = inputs.read(Path(name), model.input_shape, resize, crop).image
        np.testing.assert_allclose(
            data.held_out[np.array([index])][0], expected, atol=0.5 / 255 + 1e-6
        )


def test_frames_to_cut_from_are_the_square_in_the_middle(found):
    data = framed(found, about(16, 12, 12))
    picture = folders.read_image(data.train.names[0])  # 23 x 31 becomes 16 x 21
    expected = folders.resample(picture, (16, 21))[:, 2:18]
    np.testing.assert_allclose(data.train[np.array([0])][0], expected, atol=0.5 / 255 + 1e-5)


def test_another_size_keeps_the_proportion(found):
    data = framed(found, about(16, 12, 12), image_size=24)
    sizes = (data.train[np.array([0])].shape[1:3], data.held_out[np.array([0])].shape[1:3])
    assert sizes == ((32, 32), (24, 24)) and data.side == 24
