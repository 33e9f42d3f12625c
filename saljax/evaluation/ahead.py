"""The files of cases, read by threads while the devices compute.

Threads of the standard library, not grain: decoders let other threads run, which files have to be
read is known only when a result is looked for, and grain's DataLoader (0.2.18 and before) loses
the last batch where it is not full.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from saljax.evaluation.cases import Case
from saljax.runs import inputs, records

LEAST = 32
"""Pictures that are read before they are asked for, or a batch of them if that is more: 20 MB at
224 x 224. Our choice."""
MOST_THREADS = 16
"""Each may hold a large photograph while it decodes it. Our choice."""


class Ahead:
    """Digests and pictures of cases, asked for in order.

    The first digest that is asked for has those after it read too, and the first picture the
    pictures: where results are known none is decoded, but for a few after the last that was not.

    Args:
        cases: in the order in which they will be asked for; some may be left out.
        read: the picture of one; raises `UnreadableImage`.
        batch_size: cases that are asked for together.

    Attributes:
        pictures: how many were asked for.
        waited: seconds that whoever asked for them waited, for digests too.
    """

    def __init__(
        self, cases: Sequence[Case], read: Callable[[Case], inputs.Input], batch_size: int
    ):
        self._cases, self._read, self._number = cases, read, max(LEAST, batch_size)
        self._place = {case.name: place for place, case in enumerate(cases)}
        self._digests: dict[int, Future] = {}
        self._pictures: dict[int, Future] = {}
        self._pool = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1))
        self.pictures, self.waited = 0, 0.0

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def digest(self, case: Case) -> str:
        """SHA-256 of a file; OSError where it cannot be read."""
        return self._result(self._digests, _sha256, case)

    def picture(self, case: Case) -> inputs.Input:
        """What the classifier sees, twice; UnreadableImage where the file is no picture."""
        self.pictures += 1
        return self._result(self._pictures, self._seen, case)

    def _seen(self, case: Case) -> inputs.Input:
        picture = self._read(case)
        return picture._replace(whole=picture.image)  # what people see fills the memory

    def _result(self, asked: dict[int, Future], work: Callable[[Case], Any], case: Case) -> Any:
        place, cases = self._place[case.name], self._cases
        for passed in [other for other in asked if other < place - 1]:
            del asked[passed]
        for near in range(place, min(place + self._number, len(cases))):
            if near not in asked:  # cases of one picture follow each other: it is read once
                same = near - 1 in asked and cases[near - 1].path == cases[near].path
                asked[near] = asked[near - 1] if same else self._pool.submit(work, cases[near])
        start = time.perf_counter()
        try:
            return asked[place].result()
        finally:
            self.waited += time.perf_counter() - start


def _sha256(case: Case) -> str:
    if case.content is None:
        return records.sha256(case.path)
    return hashlib.sha256(case.content()).hexdigest()
