"""From the values of all images to the numbers of a table."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from saljax.evaluation import ranks
from saljax.evaluation.measures import Measure
from saljax.evaluation.study import Judged, Study
from saljax.runs import records


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


def entries(study: Study, judged: Sequence[Judged]) -> list[Entry]:
    """All numbers of a table.

    Args:
        study: what was asked.
        judged: what came of it.

    Returns:
        Entries by subset, column and row; no subset without images.
    """
    compared = [row.name for row in study.rows if not row.is_reference]
    subsets = _subsets(judged)
    number = {path: n for n, path in enumerate(dict.fromkeys(one.case.path for one in judged))}
    pictures = np.asarray([number[one.case.path] for one in judged])
    by_measure = []
    for measure in study.measures:
        stored = {row.name: _values(judged, row.name, measure.name) for row in study.rows}
        by_measure.append(measure.columns(stored, compared, pictures))
    columns, found = sum(by_measure, []), []
    for subset, chosen in subsets.items():
        for column in columns:
            for row in study.rows:
                number = _mean(column.values[row.name][chosen])
                note = column.notes.get(row.name, "")
                found.append(Entry(subset, column.name, column.better, row.name, *number, note))
        mean_ranks = ranks.mean_ranks(by_measure, compared, chosen, pictures)
        for row in study.rows if mean_ranks else ():
            mean, error = mean_ranks.get(row.name, (None, None))
            number = int(chosen.sum()) if mean is not None else 0
            found.append(Entry(subset, ranks.NAME, "lower", row.name, mean, error, number, ""))
    return found


def sizes(judged: Sequence[Judged]) -> dict[str, int]:
    """Number of images by subset, of those that have any."""
    return {name: int(chosen.sum()) for name, chosen in _subsets(judged).items()}


def seconds(study: Study, judged: Sequence[Judged]) -> dict[str, float | None]:
    """Mean time a map took, by row, where it was measured."""
    times = {row.name: [j.seconds.get(row.name, np.nan) for j in judged] for row in study.rows}
    return {name: _mean(np.asarray(of_row))[0] for name, of_row in times.items()}


def settings(study: Study) -> dict[str, Any]:
    """All that the numbers depend on, but for the images: a JSON object."""
    return {
        **study.classifier.record(),
        "methods": {
            row.name: row.record(study.classifier.about.input_shape[:-1]) for row in study.rows
        },
        "metrics": {
            measure.name: measure.settings()
            | ({"source": {"sha256": measure.source}} if measure.source else {})
            for measure in study.measures
        },
        "seed": study.seed,
        "batch_size": study.batch_size,
        "range": study.values and list(study.values),
        "versions": records.versions(),
    }


def facts(study: Study, judged: Sequence[Judged], target: str) -> list[str]:
    """Sentences that a reader of the table must know; `target` as the command line has it."""
    firsts = [one.record["prediction"][0]["index"] for one in judged]
    right = sum(f == one.record["target"]["index"] for f, one in zip(firsts, judged, strict=True))
    lost = sum(one.record["lost"] > 0 and not one.record["boxes"] for one in judged)
    explained = "the class of the boxes" if target == "label" else target
    found = [f"explained is {explained}, the classifier's first choice in {right} of {len(judged)}"]
    if any(case.corners is not None for case in study.cases):
        found.append("small objects: boxes that cover less than a quarter of what it sees")
    if study.classifier.one_logit:
        below, above = study.classifier.labels
        found.append(
            f"the classifier has one logit: above 0 {above}, below {below}, by the sigmoid"
        )
    of_others = [one.record["of_others"] > 0 for one in judged]
    if any(of_others):
        none = sum(not one.record["boxes"] and o for one, o in zip(judged, of_others, strict=True))
        found.append(
            f"boxes of other classes than the one explained do not count: in {sum(of_others)} "
            f"images, of which {none} have no other boxes"
        )
    if lost:
        found.append(f"without a box in what the classifier sees: {lost}")
    found += [measure.known.says for measure in study.measures if measure.known.says]
    found += [f"metrics: {'; '.join(map(_setting, study.measures))}"]
    if sum(not row.is_reference for row in study.rows) > 1:
        found.append(ranks.SAYS)
    return [*found, "± is the standard error of the mean"]


def of_images(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """What was explained, for programs."""
    keys = ("image", "range", "target", "prediction", "boxes", "small")
    return [
        {"name": one.case.name} | {key: one.record[key] for key in keys if key in one.record}
        for one in judged
    ]


def _subsets(judged: Sequence[Judged]) -> dict[str, np.ndarray]:
    small = np.asarray([one.record["small"] is True for one in judged], bool)
    found = {"all": np.ones(len(judged), bool), "small": small}
    return {name: chosen for name, chosen in found.items() if chosen.any()}


def _values(judged: Sequence[Judged], row: str, measure: str) -> list[Any]:
    return [one.values.get(row, {}).get(measure, {}).get("value") for one in judged]


def _setting(measure: Measure) -> str:
    """`pointing_game (tolerance 15)`."""
    given = measure.settings()
    shown = ", ".join(f"{name} {value}" for name, value in given.items() if name != "chunk_size")
    return measure.name + (f" ({shown})" if shown else "")


def _mean(values: np.ndarray) -> tuple[float | None, float | None, int]:
    values = values[np.isfinite(values)]
    number = len(values)
    mean = float(values.mean()) if number else None
    error = float(values.std(ddof=1) / number**0.5) if number > 1 else None
    return mean, error, number
