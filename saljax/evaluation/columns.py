"""The columns of a table, made of the values of all images."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Stored = Mapping[str, Sequence[Any]]
"""Row -> the values of one metric, one an image, None where it could not be measured."""


class Column(NamedTuple):
    """A number for each row and image.

    Attributes:
        name: in the table.
        better: "higher" or "lower", or "" where neither is.
        values: row -> (N,), NaN where there is none.
        notes: row -> how its numbers came about, where that differs.
    """

    name: str
    better: str
    values: dict[str, np.ndarray]
    notes: dict[str, str] = {}


class Asked(NamedTuple):
    """What columns are made for.

    Attributes:
        compared: rows among which relative numbers are made.
        pictures: (N,), number of the picture that each value is of; a picture with several classes
            has several values.
        settings: keywords of the metric.
    """

    compared: Sequence[str]
    pictures: np.ndarray
    settings: Mapping[str, Any]


def array(values: Sequence[Any], part: str | None = None) -> np.ndarray:
    """(N, ...) of the values of all images, or of one part of them; NaN where there is none."""
    if part is not None:
        values = [None if value is None else value[part] for value in values]
    shape = next((np.shape(value) for value in values if value is not None), ())
    missing = np.full(shape, np.nan)
    return np.asarray([missing if value is None else value for value in values], np.float64)


def each(name: str, better: str, part: str | None = None) -> Callable:
    """One column, of the values themselves or of a part of them; of an array its mean."""

    def columns(stored, asked):
        arrays = {row: array(v, part) for row, v in stored.items()}
        return [Column(name, better, {r: a.reshape(len(a), -1).mean(1) for r, a in arrays.items()})]

    return columns


def parts(*columns: tuple[str, str, str]) -> Callable:
    """Columns of parts of a record: name, which is better, part."""

    def made(stored, asked):
        return sum((each(*column)(stored, asked) for column in columns), [])

    return made
