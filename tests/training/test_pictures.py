"""Pictures in folders, with or without classes, and drawn ones, as the classifier is shown them."""

import numpy as np
import pytest
from PIL import Image

from saljax.data.generated import birdlets
from saljax.models.zoo import ModelInfo
from saljax.runs import inputs
from saljax.training import pictures, shown

ABOUT = ModelInfo("tiny", "", (12, 12, 3), 16, 12, True, ("a", "b"), "none")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Six pictures in one folder, and the same in two class folders."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for number in range(6):
        picture = Image.fromarray(rng.integers(0, 256, (23, 31, 3), np.uint8))
        for folder in (root / "flat", root / "classes" / ("a" if number < 3 else "b")):
            folder.mkdir(parents=True, exist_ok=True)
            picture.save(folder / f"{number}.png")
    (root / "flat" / "9.png").write_text("no picture")
    return root


def framed(data, share, seed=0):
    problems = []

    def complain(what, problem):
        problems.append(problem)

    found = pictures.found(str(data), share, seed, complain)
    return pictures.framed(found, ABOUT, share, seed, complain, lambda: None), problems


def test_a_folder_of_pictures_is_parted_as_arrays_are(folders):
    paths = sorted((folders / "flat").glob("[0-5].png"))
    expected = [inputs.read(path, (12, 12, 3), 16, 12).image for path in paths]
    data, problems = framed(folders / "flat", 0.4, 3)
    arrays = shown.of_arrays(np.stack(expected), 0.4, 3)
    assert len(data.train) == 4 and len(data.held_out) == 2 and len(problems) == 1
    for of_files, of_arrays in [(data.train, arrays.train), (data.held_out, arrays.held_out)]:
        rows = np.arange(len(of_arrays))[::-1]
        np.testing.assert_allclose(of_files[rows], of_arrays[rows], atol=0.5 / 255 + 1e-6)
    assert data.about != framed(folders / "classes" / "a", 0.4)[0].about
    assert framed(folders / "flat", 0)[0].held_out is None


def test_class_folders_keep_back_of_each_class(folders):
    data, problems = framed(folders / "classes", 0.4)
    assert (len(data.train), len(data.held_out), problems) == (4, 2, [])
    assert data.train[np.arange(4)].shape == (4, 12, 12, 3) and not data.endless


def test_generated_birds_never_repeat_and_are_tested_on_others():
    data = pictures.generated(ABOUT, 4, 0.5, 7)
    assert data.endless and len(data.train) == 4
    drawn = data.train[np.array([0, 3, 8])]
    expected = [birdlets.sample(7, index, size=12).image for index in (0, 3, 8)]
    np.testing.assert_array_equal(drawn, expected)
    assert data.held_out.shape == (2, 12, 12, 3)
    assert not any(np.array_equal(one, other) for one in data.held_out for other in expected)


def test_arrays_are_parted_once_and_too_few_are_refused():
    images = np.arange(10, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 2, 3))
    data = shown.of_arrays(images, 0.3, 5)
    found = np.concatenate([data.train, data.held_out])[:, 0, 0, 0]
    assert sorted(found) == list(range(10)) and len(data.held_out) == 3
    assert data.about["sha256_of_images"] != shown.of_arrays(images, 0.3, 6).about
    given = shown.of_arrays(images, images[:2], 5)
    assert len(given.train) == 10 and len(given.held_out) == 2
    for wrong, share, words in [
        (images[:1], 0.3, "needs more images to learn from; got 1"),
        (images, 1.0, r"a share in \[0, 1\); got 1.0"),
        (images.astype(np.uint8), 0.3, "Divide bytes by 255"),
    ]:
        with pytest.raises(ValueError, match=words):
            shown.of_arrays(wrong, share, 0)
