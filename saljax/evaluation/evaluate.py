"""The host loop of `saljax evaluate`: each map and each of its measurements once, whatever happens.

Everything that is known lies in files of blocks of cases, whole or not there. A run that was
killed goes on from them; what did not change is not computed again. Batches are cut from the list
of cases, not from what is left to do, so a map comes out of the same program at the same place of
its batch whenever it is computed: bit for bit the same.
"""

import contextlib
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from saljax.evaluation import blocks
from saljax.evaluation.ahead import Ahead
from saljax.evaluation.batches import Batch
from saljax.evaluation.cases import Complain
from saljax.evaluation.judge import Judge
from saljax.evaluation.judged import Done, Judged, done
from saljax.evaluation.look import Look
from saljax.evaluation.shared import Shared
from saljax.evaluation.study import Study
from saljax.runs import store

EVERY = 20.0
"""Seconds after which a block that is in work is written all the same. Our choice."""


def evaluate(
    study: Study,
    complain: Complain,
    advance: Callable[..., None],
    note: Complain = lambda what, text: None,
    waited: Callable[[int, float, float], None] = lambda pictures, seconds, of: None,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Done]:
    """Explain and measure what has not been yet, of the blocks that are asked for.

    Args:
        study: what is asked.
        complain: told of images, rows and metrics that fail; the others go on.
        advance: told how many maps more are there, and what is in `work`.
        note: told what was assumed of an image, what costs much, and what was damaged.
        waited: told at the end how many pictures were read, and how many seconds of how many in all
            the devices had nothing to do but wait for them.
        stopped: asked after each block whether to stop there.

    Returns:
        What is known of each case that can be explained, in order.

    Raises:
        KeyboardInterrupt: it was `stopped`.
    """
    warn(study, note)
    work = Work(study, complain, advance, note)
    found: list[Done] = []
    chosen = study.blocks
    own = [case for number in chosen for case in study.cases_of(number)]
    work.judge.left = len(own)
    begun, files = time.perf_counter(), Ahead(own, study.read, study.batch_size)
    with files:
        for number in chosen:
            found += work(number, files)
            if stopped():
                raise KeyboardInterrupt
    waited(files.pictures, files.waited, time.perf_counter() - begun)
    return found


def warn(study: Study, note: Complain) -> None:
    """Say beforehand which metrics cost much."""
    for measure in study.measures:
        if measure.known.dear:
            asked = f"{len(study.rows)} methods, {len(study.cases)} images"
            note(measure.name, f"{measure.cost}; {asked}")


class Work:
    """What all blocks have in common: programs, what failed, where results lie.

    Attributes:
        judge: explains and measures.
        made_from: a hash of what all results are made from, but for the pictures.
    """

    def __init__(
        self, study: Study, complain: Complain, advance: Callable[..., None], note: Complain
    ):
        self._study, self._complain, self._advance, self._note = study, complain, advance, note
        shared = Shared(study.classifier, study.batch_size, study.values, study.framing)
        self._look = Look(study, shared, complain)
        self.judge = Judge(study, shared, complain, note, functools.partial(advance, 0))
        made_from = {row: self.judge.made_from(row) for row in study.rows}
        self._of_images = self._shelf("images", self._look.made_from)
        self._of_rows = {row: self._shelf(f"of/{row.name}", made_from[row]) for row in study.rows}
        self.made_from = store.key(
            images=self._look.made_from,
            rows=list(made_from.values()),
            measures=list(self.judge.measured_by.values()),
        )

    def __call__(self, number: int, files: Ahead) -> list[Done]:
        """Do what is left to be done of a block; what is known of its cases."""
        while True:
            try:
                return self._once(number, files)
            except blocks.DamagedError as error:
                self._damaged(error.path)
                error.path.unlink(missing_ok=True)
                for shelf in (self._of_images, *self._of_rows.values()):
                    shelf.forget()

    def _once(self, number: int, files: Ahead) -> list[Done]:
        study, judged_here = self._study, list[Judged]()
        images = blocks.Block(self._of_images, number)
        rows = {row: blocks.Block(one, number) for row, one in self._of_rows.items()}
        with _written([images, *rows.values()]) as written_now_and_then:
            cases = study.cases_of(number)
            for first in range(0, len(cases), study.batch_size):
                part = cases[first : first + study.batch_size]
                batch = Batch(part, study.batch_size, files, self._complain, self._note)
                judged = self._look(batch, images)
                for row in study.rows:
                    worked = self.judge(row, batch, judged, rows[row])
                    self._advance(len(part) if worked else 0, spared=0 if worked else len(part))
                    written_now_and_then()
                self.judge.left -= len(part)
                judged_here += judged.values()
        return done(judged_here)

    def _shelf(self, name: str, made_from: str) -> blocks.Shelf:
        study = self._study
        return blocks.Shelf(study.out / "blocks" / name, made_from, study.keep, self._damaged)

    def _damaged(self, path: Path) -> None:
        self._note(str(path), "is damaged; what it held is made again")


@contextlib.contextmanager
def _written(files: Sequence[blocks.Block]):
    """Write blocks now and then, and at the end, also where that is an error or Ctrl-C."""
    last = time.monotonic()

    def write() -> None:
        for one in files:
            one.write()

    def now_and_then() -> None:
        nonlocal last
        if time.monotonic() - last > EVERY:
            write()
            last = time.monotonic()

    try:
        yield now_and_then
    except BaseException:
        with contextlib.suppress(OSError):
            write()
        raise
    write()
