"""A worker of an evaluation, in this process."""

import os
from types import SimpleNamespace

import pytest

from saljax.evaluation import worker
from saljax.evaluation.worker import Told, Worker


@pytest.fixture
def one(monkeypatch, tmp_path):
    """A worker whose study does nothing but tell."""

    class Work:
        made_from = "hash"

        def __init__(self, study, complain, advance, note):
            self.judge = SimpleNamespace()
            self._tell = complain, advance, note

        def __call__(self, number, files):
            complain, advance, note = self._tell
            advance(0, work=f"at {number}")
            advance(2)
            advance(0, spared=3)
            note(tmp_path, "was guessed")

    monkeypatch.setattr(worker, "Work", Work)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sign").touch()
    return Worker()


def make(complain, note):
    complain("a.png", "cannot be read")
    return SimpleNamespace(cases=[], cases_of=lambda number: [], read=None, batch_size=1)


@pytest.fixture
def expected(as_users_run):
    return worker.identity(SimpleNamespace(cases=[]), SimpleNamespace(made_from="hash"))


def test_it_tells_what_it_did(one, tmp_path, expected):
    said = (("complain", "a.png", "cannot be read"),)
    assert one.start(make, tmp_path, tmp_path / "sign", expected) == Told(said=said)
    note = ("note", str(tmp_path), "was guessed")
    assert one.work(7) == Told(2, 3, "at 7", (note,))
    assert one.told() == Told(2, 3, "at 7")
    assert one.work(8) == Told(4, 6, "at 8", (note,))


def test_it_must_see_the_same_and_be_the_same(one, tmp_path, expected):
    with pytest.raises(ValueError, match="gone: a worker on .* does not see this folder"):
        one.start(make, tmp_path / "gone", tmp_path / "sign", expected)
    with pytest.raises(ValueError, match="does not see this folder, or another one of this name"):
        one.start(make, tmp_path, tmp_path / "other", expected)
    for name, own in expected.items():
        with pytest.raises(ValueError, match=f"has another {name}: {own}, not x"):
            one.start(make, tmp_path, tmp_path / "sign", expected | {name: "x"})
    assert os.getcwd() == str(tmp_path)
