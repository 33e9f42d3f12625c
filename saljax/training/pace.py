"""How fast a training run goes, and how long it will take."""

import contextlib
import time
from collections.abc import Iterator
from typing import NamedTuple


class Pace(NamedTuple):
    """How it goes.

    Attributes:
        stage: its name.
        loss: mean of this epoch so far.
        images_per_second: in the steps of this stage after its first, which compiles; None in that.
        seconds_left: of this stage; None in its first step.
    """

    stage: str
    loss: float
    images_per_second: float | None
    seconds_left: float | None


class Clock:
    """Counts the steps of a stage; the first starts it."""

    def __init__(self):
        self._steps, self._began = -1, 0.0

    def pace(self, stage: str, loss: float, batch_size: int, steps_left: int) -> Pace:
        """Count a step that has ended."""
        self._steps += 1
        if not self._steps:
            self._began = time.monotonic()
            return Pace(stage, loss, None, None)
        seconds = (time.monotonic() - self._began) / self._steps
        return Pace(stage, loss, batch_size / seconds, steps_left * seconds)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Do something else than a step."""
        began = time.monotonic()
        yield
        self._began += time.monotonic() - began
