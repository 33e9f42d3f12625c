"""How far methods are from each other on the same images, and how sure that is."""

import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from saljax.evaluation import bootstrap
from saljax.evaluation.columns import Column

LEVEL = 0.95
FEWEST = 6
"""Pictures for a verdict: of fewer, all on one side, a sign test would not speak at 5 % either."""

Verdict = Literal["better", "worse", "not different", "too few"]


class Difference(NamedTuple):
    """A method less another, on the images where both have a value.

    Attributes:
        subset: see `summary.Entry`.
        column: what was measured.
        better: "higher" or "lower".
        row: name of the method.
        against: name of the other.
        role: "center" or "best": what the other is.
        mean: of the differences.
        low: lower end of the interval that holds 95 % of the means over pictures drawn with
            replacement; None of fewer than two pictures.
        high: its upper end.
        pictures: that count.
        verdict: "not different" where the interval holds 0; else of the method.
    """

    subset: str
    column: str
    better: str
    row: str
    against: str
    role: Literal["center", "best"]
    mean: float
    low: float | None
    high: float | None
    pictures: int
    verdict: Verdict


SAYS = (
    f"bold: the best mean; italic: not different from it, the {LEVEL:.0%} interval of the paired "
    f"difference over {bootstrap.DRAWS} draws of pictures holds 0 (each interval by itself, from "
    f"{FEWEST} pictures on)"
)


def differences(
    columns: Sequence[Column],
    rows: Sequence[str],
    center: str | None,
    pictures: np.ndarray,
    chosen: np.ndarray,
    subset: str,
) -> list[Difference]:
    """Compare every method with `center` and with the best of all, column by column.

    Args:
        columns: those without a better end are left out.
        rows: methods, references too.
        center: the row of this reference, if there is one.
        pictures: (N,), number of the picture of each value; pictures are drawn, not values.
        chosen: (N,), which values count.
        subset: name of these.

    Returns:
        Differences by column, role and row, of methods with values on a picture in common.
    """
    asked = []
    for column in columns:
        best = best_of(column, rows, chosen)
        for role, other in (("center", center), ("best", best)):
            if column.better and other is not None:
                asked += [(column, row, other, role) for row in rows if row != other]
    if not asked:
        return []
    pairs = [column.values[row] - column.values[other] for column, row, other, _ in asked]
    values, own = np.stack(pairs, axis=1)[chosen], pictures[chosen]
    drawn = bootstrap.means(values, own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of pairs without any value
        ends = np.nanpercentile(drawn[1:], [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=0)
    found = []
    for i, (column, row, other, role) in enumerate(asked):
        number = len(np.unique(own[np.isfinite(values[:, i])]))
        if number:
            interval = (float(ends[0, i]), float(ends[1, i])) if number > 1 else (None, None)
            verdict = _verdict(*interval, column.better, number)
            names = subset, column.name, column.better, row, other, role
            found.append(Difference(*names, float(drawn[0, i]), *interval, number, verdict))
    return found


def best_of(column: Column, rows: Sequence[str], chosen: np.ndarray) -> str | None:
    """The row of the best mean, the first of equals; None where there is no mean or no better."""
    sign = {"higher": 1.0, "lower": -1.0}.get(column.better)
    means = {
        row: values[np.isfinite(values)] for row in rows for values in [column.values[row][chosen]]
    }
    signed = {row: sign * float(v.mean()) for row, v in means.items() if sign and len(v)}
    return max(signed, key=signed.__getitem__) if signed else None


def _verdict(low: float | None, high: float | None, better: str, number: int) -> Verdict:
    if low is None or high is None or number < FEWEST:
        return "too few"
    if low <= 0 <= high:
        return "not different"
    return "better" if (low > 0) == (better == "higher") else "worse"


def in_words(found: Sequence[Difference], rows: Sequence[str], subset: str) -> list[str]:
    """A sentence a method on how it compares with `center`.

    `glas: better than center by 2 of 5 metrics, worse by 1, not different by 2 (IoU; deletion)`.

    Args:
        found: differences.
        rows: methods to speak of.
        subset: of the images.
    """
    sentences = []
    for row in rows:
        asked = row, "center", subset
        own = [one for one in found if (one.row, one.role, one.subset) == asked]
        by = {verdict: [one.column for one in own if one.verdict == verdict] for verdict in _WORDS}
        parts = [words.format(len(by[verdict]), len(own)) for verdict, words in _WORDS.items()]
        parts = [part for part, columns in zip(parts, by.values(), strict=True) if columns]
        if own:
            same = f" ({'; '.join(by['not different'])})" if by["not different"] else ""
            sentences.append(f"{row}: {', '.join(parts)}{same}")
    return sentences


_WORDS = {
    "better": "better than center by {} of {} metrics",
    "worse": "worse than center by {} of {}",
    "too few": f"on too few pictures to tell it from center (fewer than {FEWEST}) by {{}} of {{}}",
    "not different": "not different from center by {} of {}",
}
