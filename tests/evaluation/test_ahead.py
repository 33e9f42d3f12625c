"""Files of cases, read before they are asked for."""

import hashlib
import threading
from pathlib import Path

import numpy as np
import pytest

from saljax.data.files import UnreadableImage
from saljax.evaluation.ahead import LEAST, Ahead
from saljax.evaluation.cases import Case
from saljax.runs.inputs import Input

SECONDS = 20.0
"""Until a test gives up, on however busy a machine."""


def cases(*paths):
    return [Case(str(place), Path(path), 0, None, None) for place, path in enumerate(paths)]


class Read:
    """Reads nothing, and counts; `when` is waited for by all but the first."""

    def __init__(self, when=None):
        self.paths, self.done, self._when = [], threading.Semaphore(0), when

    def __call__(self, case):
        self.paths.append(case.path.name)
        self.done.release()
        if self._when is not None and case.name != "0":
            assert self._when.wait(SECONDS)
        if case.path.name == "bad":
            raise UnreadableImage("is bad")
        return Input(np.zeros((2, 2, 3), np.float32), np.zeros((900, 900, 3)), (9, 9))

    def has(self, number):
        return all(self.done.acquire(timeout=SECONDS) for _ in range(number))


def test_the_next_are_read_before_they_are_asked_for():
    """And no more than the next: while the first is in work, `LEAST` are in the memory."""
    read, all_of_them = Read(), cases(*map(str, range(3 * LEAST)))
    with Ahead(all_of_them, read, batch_size=2) as files:
        assert files.picture(all_of_them[0]).image.shape == (2, 2, 3)
        assert read.has(LEAST) and sorted(map(int, read.paths)) == list(range(LEAST))
        for case in all_of_them[1:]:
            files.picture(case)
    assert len(read.paths) == files.pictures == 3 * LEAST


def test_a_batch_is_read_ahead_whatever_its_size():
    read, all_of_them = Read(), cases(*map(str, range(3 * LEAST)))
    with Ahead(all_of_them, read, batch_size=2 * LEAST) as files:
        files.picture(all_of_them[0])
        assert read.has(2 * LEAST)


def test_what_nobody_asks_for_is_not_decoded(tmp_path):
    """All is known: files have their digests taken, and no picture is opened."""
    (tmp_path / "a").write_bytes(b"a")
    read, all_of_them = Read(), cases(tmp_path / "a", tmp_path / "missing")
    with Ahead(all_of_them, read, 1) as files:
        assert files.digest(all_of_them[0]) == hashlib.sha256(b"a").hexdigest()
        with pytest.raises(OSError, match="No such file"):
            files.digest(all_of_them[1])
    assert read.paths == [] and files.pictures == 0


def test_two_cases_of_one_picture_read_it_once():
    read, all_of_them = Read(), cases("a", "a", "a", "b", "a")
    with Ahead(all_of_them, read, 1) as files:
        for case in all_of_them:
            files.picture(case)
    assert sorted(read.paths) == ["a", "a", "b"]


def test_what_is_wrong_is_said_when_it_is_asked_for():
    all_of_them = cases("a", "bad", "c")
    with Ahead(all_of_them, Read(), 1) as files:
        first = files.picture(all_of_them[0])
        assert first.whole.shape == (2, 2, 3)  # what is for people is not kept
        with pytest.raises(UnreadableImage, match="is bad"):
            files.picture(all_of_them[1])
        files.picture(all_of_them[2])


def test_waiting_is_counted():
    """None for what is there; all the time that it takes to come."""
    ready = threading.Event()
    all_of_them = cases("a", "b")
    with Ahead(all_of_them, Read(ready), 1) as files:
        files.picture(all_of_them[0])
        before = files.waited
        threading.Timer(0.2, ready.set).start()
        files.picture(all_of_them[1])
        assert files.waited - before > 0.15


def test_ended_in_the_middle_nothing_is_read_any_more():
    ready, all_of_them = threading.Event(), cases(*map(str, range(LEAST)))
    read = Read(ready)
    with pytest.raises(KeyboardInterrupt), Ahead(all_of_them, read, 1) as files:
        files.picture(all_of_them[0])
        raise KeyboardInterrupt
    begun = len(read.paths)
    ready.set()
    files._pool.shutdown()
    assert len(read.paths) <= begun + 1 < LEAST
