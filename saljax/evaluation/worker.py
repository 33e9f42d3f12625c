"""A process that works at blocks of an evaluation that another process hands out."""

import os
import platform
import queue
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from saljax.evaluation.ahead import Ahead
from saljax.evaluation.cases import Complain
from saljax.evaluation.evaluate import Work
from saljax.evaluation.study import Study
from saljax.runs import records, store

Make = Callable[[Complain, Complain], Study]
"""Makes the study anew from words, given `complain` and `note`: nothing else travels."""


class Told(NamedTuple):
    """What a worker has to tell.

    Attributes:
        done: maps that it made since it started.
        spared: maps that were there.
        work: what it is at.
        said: complaints and notes that were not told yet, as `kind`, `what`, `text`.
    """

    done: int = 0
    spared: int = 0
    work: str = ""
    said: tuple[tuple[str, str, str], ...] = ()


def identity(study: Study, work: Work) -> dict[str, str]:
    """What two processes must have in common for the results of one to be those of the other."""
    versions = records.versions()
    images = [[case.image, case.name] for case in study.cases]
    return {
        "version of saljax": versions["saljax"],
        "version of JAX": versions["jax"],
        "pictures, a hash": store.key(images=images),
        "weights and settings, a hash": work.made_from,
    }


class Worker:
    """The programs of an evaluation, compiled once; `told` may be asked while it works."""

    def __init__(self):
        self._done, self._spared, self._at = 0, 0, ""
        self._said: queue.SimpleQueue[tuple[str, str, str]] = queue.SimpleQueue()

    def start(self, make: Make, folder: Path, seen: Path, expected: Mapping[str, str]) -> Told:
        """Make ready for work.

        Args:
            make: makes the study.
            folder: the current one of whoever hands out blocks.
            seen: a file, new in the folder of the results.
            expected: the `identity` of whoever hands out blocks.

        Raises:
            ValueError: this process does not see the same files, or would make other results.
        """
        host = platform.node()
        try:
            os.chdir(folder)
        except OSError:
            raise ValueError(f"{folder}: a worker on {host} does not see this folder") from None
        if not seen.exists():
            text = (
                "does not see this folder, or another one of this name; all workers must share it"
            )
            raise ValueError(f"{seen.parent}: a worker on {host} {text}")
        self._study = make(self._sayer("complain"), self._sayer("note"))
        self._work = Work(self._study, self._sayer("complain"), self._advance, self._sayer("note"))
        self._work.judge.left = 0  # who hands out blocks knows what is left
        for name, own in identity(self._study, self._work).items():
            if own != expected[name]:
                raise ValueError(
                    f"a worker on {host} has another {name}: {own}, not {expected[name]}"
                )
        return self.told()

    def work(self, number: int) -> Told:
        """Do what is left to be done of a block."""
        cases = self._study.cases_of(number)
        with Ahead(cases, self._study.read, self._study.batch_size) as files:
            self._work(number, files)
        return self.told()

    def told(self) -> Told:
        """What there is to tell."""
        said = []
        while not self._said.empty():
            said.append(self._said.get())
        return Told(self._done, self._spared, self._at, tuple(said))

    def _advance(self, items: int = 1, work: str = "", spared: int = 0) -> None:
        self._done, self._spared = self._done + items, self._spared + spared
        self._at = work or self._at

    def _sayer(self, kind: str) -> Callable[[Any, str], None]:
        return lambda what, text: self._said.put((kind, str(what), text))
