"""From the values of all images to the numbers of a table."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from saljax.evaluation import ranks
from saljax.evaluation.columns import Column
from saljax.evaluation.curves import Curve
from saljax.evaluation.differences import Difference, differences
from saljax.evaluation.judged import Done
from saljax.evaluation.measures import Measure
from saljax.evaluation.study import Study


class Entry(NamedTuple):
    """A number of the table.

    Attributes:
        subset: "all", or "small": images whose boxes cover less than a quarter.
        column: what was measured.
        better: "higher" or "lower", or "" where neither is.
        row: name of the method.
        mean: over the images; None where there is none.
        standard_error: std / sqrt(n), std of a sample; None for fewer than two images.
        images: n, those that count.
        note: how the number came about, where rows differ in it.
    """

    subset: str
    column: str
    better: str
    row: str
    mean: float | None
    standard_error: float | None
    images: int
    note: str


class Collected(NamedTuple):
    """The values of all images, by column.

    Attributes:
        rows: names of the methods, references too.
        compared: without references.
        center: the row of this reference, if there is one.
        by_measure: each metric and its columns.
        curves: that metrics are areas or means of.
        pictures: (N,), number of the picture of each value.
        subsets: name -> (N,), which values count; none without images.
        classes: the class explained -> (N,), which values are of it.
    """

    rows: Sequence[str]
    compared: Sequence[str]
    center: str | None
    by_measure: Sequence[tuple[Measure, Sequence[Column]]]
    curves: Sequence[Curve]
    pictures: np.ndarray
    subsets: Mapping[str, np.ndarray]
    classes: Mapping[str, np.ndarray]

    @property
    def columns(self) -> list[Column]:
        """Of all metrics."""
        return [column for _, columns in self.by_measure for column in columns]


def collect(study: Study, judged: Sequence[Done]) -> Collected:
    """Bring together what was measured.

    Args:
        study: what was asked.
        judged: what came of it.
    """
    compared = [row.name for row in study.rows if not row.is_reference]
    number = {path: n for n, path in enumerate(dict.fromkeys(one.case.path for one in judged))}
    pictures = np.asarray([number[one.case.path] for one in judged])
    by_measure, curves = [], []
    for measure in study.measures:
        stored = {row.name: _values(judged, row.name, measure.name) for row in study.rows}
        by_measure.append((measure, measure.columns(stored, compared, pictures)))
        curves += measure.curves(stored)
    labels = np.asarray([one.record["target"]["class"] for one in judged], np.str_)
    return Collected(
        rows=[row.name for row in study.rows],
        compared=compared,
        center=next((row.name for row in study.rows if row.kind == "center"), None),
        by_measure=by_measure,
        curves=curves,
        pictures=pictures,
        subsets=_subsets(judged),
        classes={str(label): labels == label for label in sorted(set(labels))},
    )


def entries(collected: Collected) -> list[Entry]:
    """All numbers of a table, by subset, column and row; no subset without images."""
    found, by_measure = [], [columns for _, columns in collected.by_measure]
    for subset, chosen in collected.subsets.items():
        found += of_subset(collected, subset, chosen)
        ranked = ranks.mean_ranks(by_measure, collected.compared, chosen, collected.pictures)
        for row in collected.rows if ranked else ():
            mean, error = ranked.get(row, (None, None))
            number = int(chosen.sum()) if mean is not None else 0
            found.append(Entry(subset, ranks.NAME, "lower", row, mean, error, number, ""))
    return found


def of_subset(collected: Collected, name: str, chosen: np.ndarray) -> list[Entry]:
    """The numbers of some images, by column and row."""
    return [
        Entry(
            name,
            column.name,
            column.better,
            row,
            *_mean(column.values[row][chosen]),
            column.notes.get(row, ""),
        )
        for column in collected.columns
        for row in collected.rows
    ]


def compared(collected: Collected) -> list[Difference]:
    """Each method against `center` and against the best, in each subset."""
    asked = collected.columns, collected.rows, collected.center, collected.pictures
    subsets = collected.subsets.items()
    return [one for name, chosen in subsets for one in differences(*asked, chosen, name)]


def seconds(study: Study, judged: Sequence[Done]) -> dict[str, float | None]:
    """Mean time a map took, by row, where it was measured."""
    times = {row.name: [j.seconds(row.name) for j in judged] for row in study.rows}
    return {name: _mean(np.asarray(of_row, np.float64))[0] for name, of_row in times.items()}


def _subsets(judged: Sequence[Done]) -> dict[str, np.ndarray]:
    small = np.asarray([one.record["small"] is True for one in judged], bool)
    found = {"all": np.ones(len(judged), bool), "small": small}
    return {name: chosen for name, chosen in found.items() if chosen.any()}


def _values(judged: Sequence[Done], row: str, measure: str) -> list[Any]:
    return [one.value(row, measure) for one in judged]


def _mean(values: np.ndarray) -> tuple[float | None, float | None, int]:
    values = values[np.isfinite(values)]
    number = len(values)
    mean = float(values.mean()) if number else None
    error = float(values.std(ddof=1) / number**0.5) if number > 1 else None
    return mean, error, number
