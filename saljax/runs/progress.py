"""Something to look at while a program runs."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

PATIENCE = 1.0
"""Seconds before anything is shown: what is done by then needs no progress bar. Our choice."""
MEMORY = 3600.0
"""Seconds that the time left is estimated from; an item may take minutes. Our choice."""
EVERY = 30.0
"""Seconds between two lines where no terminal shows a bar. Our choice."""

_drawn: list["_Bar | _Lines"] = []


@contextlib.contextmanager
def progress(
    description: str, total: int, item: str = "", quiet: bool = False
) -> Iterator[Callable[..., None]]:
    """A bar of items done, with time elapsed, time left and speed, on stderr, gone at the end.

    Where it is known what an item will take, the bar moves within it too, by the clock alone.

    Nothing is shown before `PATIENCE` has passed. Where stderr is not a terminal a line is written
    every `EVERY` seconds instead. What is printed meanwhile goes through `cleared`, or it would be
    printed into the bar.

    Args:
        description: what is going on, a word or two.
        total: number of items.
        item: what one of them is called, such as `image`; without a name no speed is shown.
        quiet: show nothing.

    Yields:
        A function to call after each item, or with the number of items done; with what is `said`
        of them in place of their speed; with what is in `work` from now on; with the seconds that
        one item is `expected` to take; and with how many were `spared`: they were done before, and
        would make the time left look shorter than it is.
    """
    if quiet:
        yield lambda items=1, said="", work="", expected=None, spared=0: None
        return
    bar = _Bar(description, total, item)
    bar = bar if bar.is_seen else _Lines(description, total, item)
    later = threading.Timer(PATIENCE, bar.show)
    later.daemon = True
    later.start()
    _drawn.append(bar)
    try:
        yield bar.advance
    finally:
        _drawn.remove(bar)
        later.cancel()
        bar.hide()
        later.join()
        bar.hide()  # it may have been about to be shown


@contextlib.contextmanager
def cleared() -> Iterator[None]:
    """While something is printed: the bar is taken away, and drawn again below what was printed."""
    with contextlib.ExitStack() as stack:
        for bar in _drawn:
            stack.enter_context(bar.cleared())
        yield


def lasting(seconds: float) -> str:
    """`40 s`, `12 min` or `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def speed(items: int, seconds: float, item: str) -> str:
    """`1.04 images/s`, or `14 s an image` where one takes longer than a second."""
    if not (item and items):
        return ""
    rate = items / max(seconds, 1e-3)
    article = "an" if item[0] in "aeiou" else "a"
    return f"{rate:.3g} {item}s/s" if rate >= 1 else f"{1 / rate:.3g} s {article} {item}"


class _Tally:
    """How far it is, and how fast it goes.

    What an item in work has done is told by the clock alone: a compiled program says nothing while
    it runs, and asking it to would slow it down.
    """

    def __init__(self, total: int, item: str = ""):
        self.total, self.done, self.said, self.work = total, 0, "", ""
        self.start = self._since = time.monotonic()
        self._item, self._expected, self._first = item, 0.0, (0, self.start)

    def advance(
        self,
        items: int = 1,
        said: str = "",
        work: str = "",
        expected: float | None = None,
        spared: int = 0,
    ) -> None:
        """See `progress`."""
        now = time.monotonic()
        self.total -= spared
        self._expected = self._expected if expected is None else expected
        if items or expected is not None:
            self._since = now
        if items and not self.done:  # what compiled says nothing of what is left
            self._first = items, now
        self.done, self.said, self.work = self.done + items, said, work

    @property
    def share(self) -> float:
        """Of the item in work, in [0, 1), no more than that however long it takes; 0 if unknown."""
        gone = (time.monotonic() - self._since) / self._expected if self._expected else 0.0
        return min(gone, 0.95)

    @property
    def pace(self) -> tuple[int, float]:
        """Items since the first, and seconds."""
        return self.done - self._first[0], time.monotonic() - self._first[1]

    @property
    def speed(self) -> str:
        """What was `said`, or the speed since the first item."""
        return self.said or speed(*self.pace, self._item)


class _Bar:
    """A bar of rich that can be taken away for a moment."""

    def __init__(self, description: str, total: int, item: str):
        from rich import progress as rich
        from rich.console import Console

        console, tally = Console(stderr=True), _Tally(total, item)

        class Moving(rich.BarColumn):
            """It moves within an item too."""

            def render(self, task: rich.Task) -> Any:
                bar = super().render(task)
                bar.completed = min(task.completed + tally.share, task.total or 0)
                return bar

        self._tally = tally
        self._bar = rich.Progress(
            rich.SpinnerColumn(),
            "{task.description}",
            Moving(bar_width=20),
            rich.MofNCompleteColumn(),
            rich.TimeElapsedColumn(),
            rich.TextColumn("{task.fields[speed]}"),
            rich.TimeRemainingColumn(),
            rich.TextColumn("left"),
            rich.TextColumn("{task.fields[work]}", markup=False),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            speed_estimate_period=MEMORY,
        )
        self.is_seen = console.is_terminal
        self._task = self._bar.add_task(description, total=total, speed="", work="")
        self._lock, self._shown = threading.RLock(), False

    def advance(self, items: int = 1, **told: Any) -> None:
        tally = self._tally
        tally.advance(items, **told)
        self._bar.update(
            self._task, advance=items, total=tally.total, speed=tally.speed, work=tally.work
        )

    def show(self) -> None:
        with self._lock:
            self._bar.start()
            self._bar.refresh()
            self._shown = True

    def hide(self) -> None:
        with self._lock:
            self._bar.stop()
            self._shown = False

    @contextlib.contextmanager
    def cleared(self) -> Iterator[None]:
        with self._lock:
            again = self._shown
            if again:
                self.hide()
            try:
                yield
            finally:
                if again:
                    self.show()


class _Lines:
    """What a bar would show, in a line now and then."""

    def __init__(self, description: str, total: int, item: str):
        self._description, self._tally = description, _Tally(total, item)
        self._over = threading.Event()
        self.advance = self._tally.advance

    def show(self) -> None:
        tally = self._tally
        while not self._over.wait(EVERY):
            gone, (done, seconds) = time.monotonic() - tally.start, tally.pace
            left = (tally.total - tally.done) * seconds / done if done else None
            parts = (
                f"{self._description} {tally.done}/{tally.total} after {lasting(gone)}",
                tally.speed,
                "" if left is None else f"{lasting(left)} left",
                tally.work,
                f"about {tally.share:.0%} of this one" if tally.share else "",
            )
            sys.stderr.write(f"saljax: {', '.join(filter(None, parts))}\n")
            sys.stderr.flush()

    def hide(self) -> None:
        self._over.set()

    @contextlib.contextmanager
    def cleared(self) -> Iterator[None]:
        yield
