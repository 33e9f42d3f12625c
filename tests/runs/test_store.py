"""Files that are whole or not there, and names that are kept apart."""

import errno
import io
import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from saljax.report import grids
from saljax.runs import store


def test_what_is_written_is_read(tmp_path):
    array = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    store.write_array(tmp_path / "new" / "a.npy", array)
    store.write_json(tmp_path / "a.json", {"größe": 0.5})
    np.testing.assert_array_equal(np.load(tmp_path / "new" / "a.npy"), array)
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"größe": 0.5}
    assert sorted(os.listdir(tmp_path)) == ["a.json", "new"]


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a"
    store.write(path, b"old")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_not_a_number_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        store.write_json(tmp_path / "a.json", {"p": float("nan")})
    assert os.listdir(tmp_path) == []


def test_checking_leaves_no_trace(tmp_path):
    store.check_writable(tmp_path / "a" / "b")
    (tmp_path / "there").mkdir()
    store.check_writable(tmp_path / "there")
    assert os.listdir(tmp_path) == ["there"] and os.listdir(tmp_path / "there") == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="cannot write to"):
        store.check_writable(tmp_path / "file" / "below")
    assert sorted(os.listdir(tmp_path)) == ["file", "there"]


@pytest.mark.parametrize("name", ["a" * 250, "金" * 83, os.fsdecode(b"caf\xe9")])
def test_any_name_that_the_disk_takes(tmp_path, name):
    path = tmp_path / f"{name}.json"
    store.write_json(path, {"image": str(path)})
    assert store.read_json(path) == {"image": str(path)}
    assert os.listdir(tmp_path) == [path.name]


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "open", lambda *_: Full(), raising=False)
    with pytest.raises(OSError, match=r"No space left on device: .*a\.npy") as caught:
        store.write_array(tmp_path / "a.npy", np.zeros(3))
    assert caught.value.errno == errno.ENOSPC and os.listdir(tmp_path) == []


OURS = {"method": "glas", "versions": {"saljax": "0.1.0"}}


@pytest.mark.parametrize(
    ("record", "is_ours"),
    [
        (OURS, True),
        ({"versions": {"saljax": "0.1.0"}}, False),
        ({"method": "glas", "versions": {"labelme": "5.0"}}, False),
        ({"shapes": [], "version": "5.0"}, False),
        ([OURS], False),
        ({"method": "glas", "versions": "saljax"}, False),
    ],
)
def test_what_is_ours_by_its_record(tmp_path, record, is_ours):
    path = tmp_path / "a.b.png"
    Image.new("L", (2, 2)).save(path)
    np.save(tmp_path / "a.b.npy", np.zeros(2))
    assert not store.is_figure(path)
    (tmp_path / "a.b.json").write_text(json.dumps(record))
    assert store.is_figure(path) == is_ours
    assert store.names_of_others(tmp_path) == (set() if is_ours else {"a.b"})


def test_what_is_ours_by_what_the_picture_says(tmp_path):
    path = tmp_path / "overview.png"
    path.write_bytes(grids.png(Figure(figsize=(1, 1))))
    assert store.is_figure(path) and store.names_of_others(tmp_path) == set()
    Figure(figsize=(1, 1)).savefig(path)  # as what saljax 0.1 wrote, beside its explanations
    assert not store.is_figure(path)
    (tmp_path / "a.json").write_text(json.dumps(OURS))
    assert store.is_figure(path) and not store.is_figure(path.rename(tmp_path / "b.png"))
    Image.new("L", (2, 2)).save(path)
    (tmp_path / "b.png").unlink()
    assert not store.is_figure(path) and store.names_of_others(tmp_path) == {"overview"}
    assert store.names_of_others(tmp_path / "absent") == set()


def test_names_that_are_too_long_are_cut():
    paths = [Path(f"{'x' * 249}{i}.jpg") for i in (1, 2)] + [Path("金" * 84 + ".jpg")]
    first, second, fish = store.distinct_names(paths)
    assert (first, second, fish) == ("x" * 249 + "1", "x" * 249 + "2", "金" * 83)
    first, second, fish = store.distinct_names(paths, ending="-0123456789abcdef.json")
    assert (first, second, fish) == ("x" * 233, "x" * 231 + "-2", "金" * 77)
    (odd,) = store.distinct_names([Path(os.fsdecode(b"\xe9" * 251 + b".png"))])
    assert os.fsencode(odd) == b"\xe9" * 250


def test_names():
    paths = [Path(p) for p in ("a/x.jpg", "b/X.png", "x-2.jpg", "y.tar.gz", "overview.png")]
    names = store.distinct_names(paths, {"overview"})
    assert names == ["x", "X-2", "x-2-2", "y.tar", "overview-2"]


def test_names_that_look_like_numbered_ones():
    paths = [Path(name) for name in ("x/a.jpg", "a-2.jpg", "y/a.jpg", "z/A.jpg", "w/a.png")]
    assert store.distinct_names(paths) == ["a", "a-2", "a-3", "A-4", "a-5"]
    reserved = store.distinct_names(paths, reserved=("a", "a-4"))
    assert reserved == ["a-2", "a-2-2", "a-3", "A-5", "a-6"]


def test_a_long_record_is_written_part_by_part(tmp_path):
    """What is written is what JSON has for it, in a tenth of the memory that its text takes."""
    record = {"images": [{"image": f"{i}.jpg", "boxes": [[1.5, i]]} for i in range(2000)]}
    tracemalloc.start()
    store.write_json(tmp_path / "a.json", record)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    text = (tmp_path / "a.json").read_text()
    assert text == json.dumps(record, indent=2) + "\n" and 10 * peak < len(text)
