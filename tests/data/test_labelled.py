"""Pictures of known classes: from folders, from TensorFlow Datasets, framed."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from saljax.data import class_folders, folders, frames, labelled, tfds_sources


def save(path, color=(255, 0, 0), size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], color).save(path)


@pytest.fixture
def two(tmp_path):
    """Ten cats and five dogs, an empty folder, a hidden one and a file."""
    for number in range(10):
        save(tmp_path / "cat" / f"{number}.png", (number, 0, 0))
    for number in range(5):
        save(tmp_path / "a dog" / f"{number}.jpg")
    for name in ("empty", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "cat" / "list.csv").write_text("nothing")
    return tmp_path


def names(pictures):
    return ["/".join(name.split("/")[-2:]) for name in pictures.names]


def test_a_folder_a_class_and_a_share_of_each_held_out(two):
    complaints = []
    found = class_folders.read_classes(two, 0.4, 0, lambda *what: complaints.append(what))
    assert found.classes == ("a dog", "cat")
    assert complaints == [(two / "empty", "is a directory without images")]
    assert np.bincount(found.held_out.labels).tolist() == [2, 4]
    assert np.bincount(found.train.labels).tolist() == [3, 6]
    assert len(set(names(found.train)) | set(names(found.held_out))) == 15
    for part in found[:2]:
        for row, (name, label) in enumerate(zip(names(part), part.labels, strict=True)):
            assert name.split("/")[0] == found.classes[label]
            if label == 1:  # the picture is that of the name
                shade = int(name.split("/")[1].split(".")[0])
                assert part.read(row)[0, 0, 0] == np.float32(shade) / np.float32(255)
    again = class_folders.read_classes(two, 0.4, 0)
    assert names(again.held_out) == names(found.held_out)
    others = [names(class_folders.read_classes(two, 0.4, seed).held_out) for seed in range(1, 6)]
    assert all(other != names(found.held_out) for other in others)


def test_held_out_of_few_pictures():
    labels = np.repeat(np.arange(4), [1, 2, 3, 100])
    for share in (0.01, 0.99):
        back = np.bincount(labels[labelled.held_out(labels, share, 0)], minlength=4)
        assert back.tolist() == {0.01: [0, 1, 1, 1], 0.99: [0, 1, 2, 99]}[share]


def classes_in(folder, *names, number=1):
    for name in names:
        for index in range(number):
            save(folder / name / f"{index}.png")


def read_and_said(folder, **options):
    said = []
    found = class_folders.read_classes(folder, complain=lambda *what: said.append(what), **options)
    return found, [f"{path.relative_to(folder)}: {text}" for path, text in said]


@pytest.mark.parametrize(
    ("train", "apart"),
    [
        ("train", "val"), ("train", "valid"), ("TRAIN", "Validation"), ("train", "dev"),
        ("train", "eval"), ("train", "test"), ("Training", "Testing"),
    ],
)  # fmt: skip
def test_a_split_that_is_there_is_taken(tmp_path, train, apart):
    classes_in(tmp_path / train, "b", "a", number=3)
    classes_in(tmp_path / apart, "b", "a", number=2)
    found, said = read_and_said(tmp_path)
    assert found.classes == ("a", "b")
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert names(found.held_out) == ["a/0.png", "a/1.png", "b/0.png", "b/1.png"]
    assert said == [f".: learning from {train}, testing on {apart}"]
    save(tmp_path / apart / "c" / "0.png")
    with pytest.raises(ValueError, match=f"{apart}/c: no class of .*{train}"):
        class_folders.read_classes(tmp_path)


def test_of_several_splits_test_is_kept_for_the_end_and_what_is_passed_over_is_said(tmp_path):
    for split in ("train", "valid", "test", "sample"):
        classes_in(tmp_path / split, "a", "b", number=2)
    found, said = read_and_said(tmp_path)
    assert found.held_out.names[0] == str(tmp_path / "valid" / "a" / "0.png")
    assert said == [".: learning from train, testing on valid; sample and test are passed over"]


def test_pictures_without_classes_are_no_split(tmp_path):
    """Kaggle's test/, whose labels nobody is told."""
    classes_in(tmp_path / "train", "a", "b", number=5)
    save(tmp_path / "test" / "1.png")
    found, said = read_and_said(tmp_path)
    assert (len(found.train.names), len(found.held_out.names)) == (8, 2)
    assert said == [".: learning from train, testing on a part of it; test is passed over"]


def test_classes_that_are_numbers_are_in_their_order(tmp_path):
    classes_in(tmp_path, "10", "2", "0", "1", number=2)
    assert class_folders.read_classes(tmp_path).classes == ("0", "1", "2", "10")
    classes_in(tmp_path, "1b", number=2)
    assert class_folders.read_classes(tmp_path).classes == ("0", "1", "10", "1b", "2")


def test_train_alone_is_split(tmp_path):
    for name in ("a", "b"):
        for index in range(5):
            save(tmp_path / "train" / name / f"{index}.png")
    found = class_folders.read_classes(tmp_path, 0.2)
    assert found.classes == ("a", "b")
    assert (len(found.train.names), len(found.held_out.names)) == (8, 2)


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([], "no folders with pictures; expected two folders or more, CLASS/.*train/CLASS/"),
        (["cat/1.png"], r"only one class \(cat\); expected two folders or more, CLASS/\*\.jpg"),
        (["1.png"], "no folders with pictures; .*; found 1.png"),
        (
            ["cat/2019/1.png", "dog/2020/2.png"],
            "no folders with pictures; .*; found (cat/2019/1|dog/2020/2).png",
        ),
        (
            ["val/cat/1.png", "val/dog/1.png"],
            "no folders with pictures; .*; found val/(cat|dog)/1.png",
        ),
    ],
)
def test_what_is_no_folder_of_classes_is_said_in_one_line(tmp_path, pictures, message):
    for path in pictures:
        save(tmp_path / path)
    with pytest.raises(ValueError, match=f"{tmp_path}: {message}") as error:
        class_folders.read_classes(tmp_path)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="missing: no such folder"):
        class_folders.read_classes(tmp_path / "missing")


def test_pictures_deeper_in_a_class_are_passed_over_and_said(tmp_path):
    classes_in(tmp_path, "cat", "dog", number=2)
    save(tmp_path / "dog" / "2019" / "1.png")
    save(tmp_path / "cow" / "2019" / "1.png")
    (tmp_path / "cat" / "3.svg").touch()
    found, said = read_and_said(tmp_path)
    assert found.classes == ("cat", "dog")
    assert said == [
        "cat: has 1 that cannot be read (3.svg)",
        "cow: is a directory without images",
        ".: only pictures directly inside a class are read; cow/2019 and dog/2019 are passed over",
    ]


@pytest.mark.parametrize("kept", [frames.KEPT, 0])
def test_frames_leave_out_what_cannot_be_read(two, monkeypatch, kept):
    monkeypatch.setattr(frames, "KEPT", kept)
    (two / "cat" / "3.png").write_bytes(b"no picture")
    (two / "cat" / "5.png").unlink()
    (two / "cat" / "5.png").mkdir()
    found = class_folders.read_classes(two, 0.4).train.take(np.arange(9))
    bad = [f"cat/{n}.png" for n in (3, 5) if f"cat/{n}.png" in names(found)]
    complaints, steps = [], []
    framed = frames.Frames(
        found,
        lambda picture: folders.prepare(picture, 4, None),
        4,
        lambda *what: complaints.append(what),
        lambda: steps.append(1),
    )
    assert len(steps) == 9 and bad
    assert [name for name, _ in complaints] == [n for n in found.names if n[-9:] in bad]
    assert len(framed) == len(framed.labels) == len(framed.names) == 9 - len(bad)
    rows = np.array([len(framed) - 1, 0, 0])
    batch = framed[rows]
    assert batch.shape == (3, 4, 4, 3) and batch.dtype == np.float32
    for row, frame in zip(rows, batch, strict=True):
        expected = folders.prepare(folders.read_image(framed.names[row]), 4, None)
        np.testing.assert_allclose(frame, expected, atol=0.5 / 255 + 1e-6)


def tiny_birds(folder, **splits):
    """A data set as `tfds build --file_format=array_record` leaves it, without TensorFlow."""
    tfds = pytest.importorskip("tensorflow_datasets")

    class TinyBirds(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        __module__ = "__main__"  # no package whose resources would be looked for

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "label": tfds.features.ClassLabel(names=["wren", "tit"]),
            }
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager):
            return {name: self._generate_examples(number) for name, number in splits.items()}

        def _generate_examples(self, number):
            for index in range(number):
                file = io.BytesIO()
                Image.new("RGB", (5, 4), (index, 100 * (index % 2), 0)).save(file, "png")
                file.seek(0)
                yield index, {"image": file, "label": index % 2}

    TinyBirds(data_dir=folder, file_format="array_record").download_and_prepare()
    tfds.core.add_data_dir(folder)  # $TFDS_DATA_DIR is read once, which another test may have done


@pytest.mark.filterwarnings("ignore")  # of tensorflow-datasets while it writes
def test_tfds_is_read_without_tensorflow(tmp_path):
    tiny_birds(tmp_path, train=10, test=3, valid=4)
    found = tfds_sources.read_tfds("tiny_birds")
    assert found.classes == ("wren", "tit")
    assert sorted(found.train.labels.tolist()) == [0] * 5 + [1] * 5
    assert len(found.held_out.names) == 4
    seen = set()
    for row, label in enumerate(found.train.labels):
        picture = found.train.read(row)
        assert picture.shape == (4, 5, 3)
        assert picture[0, 0, 1] == (np.float32(100) / np.float32(255) if label else 0)
        seen.add(round(float(picture[0, 0, 0]) * 255))
    assert seen == set(range(10))
    assert "tensorflow" not in sys.modules


def test_tfds_that_cannot_be_read_is_said_in_one_line(monkeypatch):
    pytest.importorskip("tensorflow_datasets")
    for name in ("no_such_birds", "oxford_flowers102"):
        with pytest.raises(ValueError, match=f"tfds:{name} cannot be opened .*array_record") as e:
            tfds_sources.read_tfds(name)
        assert "\n" not in str(e.value)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ValueError, match=r"pip install 'saljax\[tfds\]'"):
        tfds_sources.read_tfds("tiny_birds")


class Source(list):
    """What `tensorflow_datasets.data_source` gives for a split."""

    def __init__(self, features, keys=("image", "label"), examples=()):
        super().__init__(examples)
        self.dataset_info = type("Info", (), {"features": features, "supervised_keys": keys})


def classes(*names):
    return {"image": object(), "label": type("Labels", (), {"names": names})}


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"test": Source(classes("a", "b"))}, "no split train; it has test"),
        ({"train": Source(classes("a", "b"), None)}, "does not say which pictures and classes"),
        ({"train": Source({"image": 1, "label": 2})}, "does not say which pictures and classes"),
        ({"train": Source(classes("a"))}, r"only one class \(a\)"),
        (
            {"train": Source(classes("a", "b"), examples=[{"label": -1}])},
            "pictures without a class in its split train",
        ),
    ],
)
def test_tfds_of_another_kind_is_said_in_one_line(monkeypatch, splits, message):
    monkeypatch.setattr(tfds_sources, "opened", lambda name, encoded=None: splits)
    with pytest.raises(ValueError, match=f"tfds:x.*{message}"):
        tfds_sources.read_tfds("x")
