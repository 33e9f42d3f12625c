"""Files that are whole or not there, and names that are kept apart."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

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


def test_names():
    paths = [Path(p) for p in ("a/x.jpg", "b/X.png", "x-2.jpg", "y.tar.gz", "overview.png")]
    names = store.distinct_names(paths, {"overview"})
    assert names == ["x", "X-2", "x-2-2", "y.tar", "overview-2"]
