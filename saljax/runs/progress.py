"""Something to look at while a program runs."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

PATIENCE = 1.0
"""Seconds before anything is shown: what is done by then needs no progress bar. Our choice."""
MEMORY = 3600.0
"""Seconds that the time left is estimated from; an item may take minutes. Our choice."""

_drawn: list["_Bar"] = []


@contextlib.contextmanager
def progress(description: str, total: int, item: str = "") -> Iterator[Callable[..., None]]:
    """A bar of items done, with time elapsed, time left and speed, on stderr, gone at the end.

    Nothing is shown before `PATIENCE` has passed, nor where stderr is not a terminal. What is
    printed meanwhile goes through `cleared`, or it would be printed into the bar.

    Args:
        description: what is going on, a word or two.
        total: number of items.
        item: what one of them is called, such as `image`; without a name no speed is shown.

    Yields:
        A function to call after each item, or with the number of items done; and with what is said
        of them in place of their speed.
    """
    bar = _Bar(description, total, item)
    later = threading.Timer(PATIENCE, bar.show)
    later.daemon = True
    later.start()
    _drawn.append(bar)
    try:
        yield bar.advance
    finally:
        _drawn.remove(bar)
        later.cancel()
        later.join()
        bar.hide()


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


class _Bar:
    """A bar of rich that can be taken away for a moment."""

    def __init__(self, description: str, total: int, item: str):
        from rich import progress as rich
        from rich.console import Console

        console = Console(stderr=True)
        self._bar = rich.Progress(
            rich.SpinnerColumn(),
            "{task.description}",
            rich.BarColumn(bar_width=20),
            rich.MofNCompleteColumn(),
            rich.TimeElapsedColumn(),
            rich.TextColumn("{task.fields[speed]}"),
            rich.TimeRemainingColumn(),
            rich.TextColumn("left"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            redirect_stdout=False,
            redirect_stderr=False,
            speed_estimate_period=MEMORY,
        )
        self._task = self._bar.add_task(description, total=total, speed="")
        self._lock, self._shown = threading.RLock(), False
        self._item, self._done, self._start = item, 0, time.monotonic()

    def advance(self, items: int = 1, said: str = "") -> None:
        self._done += items
        seconds = time.monotonic() - self._start
        said = said or speed(self._done, seconds, self._item)
        self._bar.update(self._task, advance=items, speed=said)

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
