"""Something to look at while a program runs."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TimeElapsedColumn

PATIENCE = 1.0
"""Seconds before anything is shown: what is done by then needs no progress bar. Our choice."""


@contextlib.contextmanager
def progress(description: str, total: int) -> Iterator[Callable[..., None]]:
    """A spinner with the time elapsed and a bar of items done, on stderr, gone at the end.

    Nothing is shown before `PATIENCE` has passed, nor where stderr is not a terminal.

    Args:
        description: what is going on, a word or two.
        total: number of items.

    Yields:
        A function to call after each item, or with the number of items done.
    """
    console = Console(stderr=True)
    columns = (SpinnerColumn(), "{task.description}", BarColumn(), MofNCompleteColumn())
    bar = Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task(description, total=total)
    later = threading.Timer(PATIENCE, bar.start)
    later.daemon = True
    later.start()
    try:
        yield lambda items=1: bar.advance(task, items)
    finally:
        later.cancel()
        later.join()
        bar.stop()
