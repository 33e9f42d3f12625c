"""Pictures of known classes, and which of them are kept back to test on."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from saljax.data.folders import Picture

HELD_OUT = ("val", "valid", "validation", "dev", "eval", "test", "testing")
"""Usual names of pictures to test on while training, the first that is there is taken: what is
called a test is for the end, once."""


@dataclass(frozen=True)
class Pictures:
    """Pictures that are read when they are asked for.

    Attributes:
        names: of each, for people.
        labels: class index of each (N,).
        read: from its place among them to a picture; raises `folders.UnreadableImage`.
    """

    names: Sequence[str]
    labels: Int[np.ndarray, " pictures"]
    read: Callable[[int], Picture]

    def take(self, rows: Int[np.ndarray, " taken"]) -> "Pictures":
        """Return some of the pictures."""
        names = [self.names[int(row)] for row in rows]
        return Pictures(names, self.labels[rows], lambda index: self.read(int(rows[index])))


class Labelled(NamedTuple):
    """Pictures to learn from and pictures to test on, and the names of their classes."""

    train: Pictures
    held_out: Pictures
    classes: tuple[str, ...]


def first_held_out(names: Iterable[str]) -> str | None:
    """Return the first of `HELD_OUT` among some names, upper and lower case alike; or None."""
    known = {name.casefold(): name for name in names}
    return next((known[name] for name in HELD_OUT if name in known), None)


def split(pictures: Pictures, share: float, seed: int) -> tuple[Pictures, Pictures]:
    """Keep pictures back to test on, class by class.

    Args:
        pictures: of all classes.
        share: of each class's pictures that is kept back, rounded; of two pictures or more at least
            one is kept back and one is not, a single one is not.
        seed: of the choice.

    Returns:
        Those to learn from and those kept back, both in order. The choice in one class depends on
        nothing but the seed, the class's index and how many pictures it has.
    """
    back = held_out(pictures.labels, share, seed)
    return pictures.take(np.flatnonzero(~back)), pictures.take(np.flatnonzero(back))


def held_out(
    labels: Int[np.ndarray, " pictures"], share: float, seed: int
) -> Bool[np.ndarray, " pictures"]:
    """Return which pictures `split` keeps back."""
    back = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        number = min(max(round(share * len(rows)), 1), len(rows) - 1)
        back[np.random.default_rng((seed, label)).permutation(rows)[:number]] = True
    return back
