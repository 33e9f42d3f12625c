"""Ctrl-C, heard twice."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from saljax.cli.console import say


@contextlib.contextmanager
def heard_twice(what: str) -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C is only noted, and said; the second interrupts as always.

    Where Ctrl-C is not Python's own, as in a job in the background, it stays what it is.

    Args:
        what: is finished after the first.

    Yields:
        A function that says whether there was one.
    """
    once = threading.Event()

    def hear(number: int, frame: object) -> None:
        if once.is_set():
            raise KeyboardInterrupt
        once.set()
        # By another thread: this one may have been interrupted in the middle of a print.
        text = f"{what} is finished; Ctrl-C again stops at once"
        threading.Thread(target=say, args=(text,), daemon=True).start()

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield once.is_set
        return
    signal.signal(signal.SIGINT, hear)
    try:
        yield once.is_set
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
