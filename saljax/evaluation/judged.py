"""What is known of a case: while its block is in work, and in little memory when that is done."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from saljax.evaluation.blocks import Place
from saljax.evaluation.cases import Case
from saljax.evaluation.columns import array


class Judged(NamedTuple):
    """What is known of one case of a block in work.

    Attributes:
        case: the case.
        record: size, prediction, target, boxes in pixels of what the classifier sees.
        maps: row -> where its map lies, if it was kept.
        values: row -> metric -> its value, as `measures.to_json` gives it, under "value".
        seconds: row -> time its map took, where nothing was compiled meanwhile.
    """

    case: Case
    record: dict[str, Any]
    maps: dict[str, Place]
    values: dict[str, dict[str, Any]]
    seconds: dict[str, float]


class _Together(NamedTuple):
    """Of all cases of a block, place by place; NaN and -1 are nothing.

    Attributes:
        values: row -> metric -> array, or arrays by part.
        seconds: row -> array.
        maps: row -> file, and places in it.
    """

    values: dict[str, dict[str, Any]]
    seconds: dict[str, np.ndarray]
    maps: dict[str, tuple[Path, np.ndarray]]


class Done:
    """What is known of one case of a block that is done: a kilobyte, most of it the record.

    Attributes:
        case: the case.
    """

    __slots__ = ("_at", "_record", "_together", "case")

    def __init__(self, case: Case, record: dict[str, Any], together: _Together, at: int):
        self.case, self._record = case, json.dumps(record).encode()
        self._together, self._at = together, at

    @property
    def record(self) -> dict[str, Any]:
        """See `Judged`."""
        return json.loads(self._record)

    @property
    def is_explained(self) -> bool:
        """There is a map by any method of any case of its block."""
        return bool(self._together.values)

    def value(self, row: str, metric: str) -> Any:
        """A number, an array, or these by part; None where there is none."""
        return _one(self._together.values.get(row, {}).get(metric), self._at)

    def seconds(self, row: str) -> float | None:
        """Time that a map took, where it was measured."""
        return _one(self._together.seconds.get(row), self._at)

    def map(self, row: str) -> Place | None:
        """Where a map lies, if it was kept."""
        path, places = self._together.maps.get(row, (None, None))
        if path is None or places is None or places[self._at] < 0:
            return None
        return Place(path, int(places[self._at]))


def done(judged: Sequence[Judged]) -> list[Done]:
    """Keep what is known of the cases of a block."""
    values: dict[str, dict[str, Any]] = {}
    for row in _named(one.values for one in judged):
        of_row = [one.values.get(row, {}) for one in judged]
        values[row] = {
            metric: _array([one.get(metric, {}).get("value") for one in of_row])
            for metric in _named(of_row)
        }
    rows = _named(one.seconds for one in judged)
    seconds = {row: _array([one.seconds.get(row) for one in judged]) for row in rows}
    maps = {}
    for row in _named(one.maps for one in judged):
        places = [one.maps.get(row) for one in judged]
        indices = np.asarray([-1 if place is None else place.index for place in places], np.int32)
        maps[row] = next(place.path for place in places if place is not None), indices
    together = _Together(values, seconds, maps)
    return [Done(one.case, one.record, together, at) for at, one in enumerate(judged)]


def _named(mappings) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _array(values: Sequence[Any]) -> Any:
    """(N, ...), or such an array a part; in 32 bits where these have all that there is."""
    first = next((value for value in values if value is not None), None)
    if isinstance(first, Mapping):
        parts = [value or dict.fromkeys(first) for value in values]
        return {name: _array([value[name] for value in parts]) for name in first}
    exact = array(values)
    short = exact.astype(np.float32)
    return short if np.array_equal(short, exact, equal_nan=True) else exact


def _one(arrays: Any, at: int) -> Any:
    if arrays is None:
        return None
    if isinstance(arrays, dict):
        return {name: _one(part, at) for name, part in arrays.items()}
    value = arrays[at]
    if not np.isfinite(value).all():
        return None
    return float(value) if value.ndim == 0 else value
