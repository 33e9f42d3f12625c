"""The mean rank of each method over the metrics, and how sure it is."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from saljax.evaluation import bootstrap
from saljax.evaluation.columns import Column

NAME = "mean rank"
SAYS = (
    "mean rank: of the methods, references aside, 1 for the best on a metric, mean over the "
    f"metrics; ± is its standard deviation over {bootstrap.DRAWS} draws of as many pictures with "
    "replacement"
)


def mean_ranks(
    by_measure: Sequence[Sequence[Column]],
    rows: Sequence[str],
    chosen: np.ndarray,
    pictures: np.ndarray,
) -> Mapping[str, tuple[float, float | None]]:
    """Rank methods on each metric by their means, and take the mean of the ranks.

    A column without a better end has no ranks, and one where some method has no value neither.
    Columns of one metric count together as one. Equal means share the mean of their ranks.

    Args:
        by_measure: columns of each metric.
        rows: methods that are compared.
        chosen: (N,), which values count.
        pictures: (N,), number of the picture of each value; pictures are drawn, not values.

    Returns:
        Row -> mean rank and its bootstrap error, None for a single picture; nothing for fewer than
        two methods, or where no column ranks them.

    Source: LATEC (Klein et al., NeurIPS 2024) ranks so; drawing pictures is our choice.
    """
    rows = [row for row in rows if _any(by_measure, row, chosen)]
    if len(rows) < 2:
        return {}
    drawn = pictures[chosen]
    of_measures = []
    for columns in by_measure:
        of_columns = [
            _ranks(np.stack([c.values[row][chosen] for row in rows], axis=1), c.better, drawn)
            for c in columns
            if c.better
        ]
        if of_columns:
            of_measures.append(_nanmean(np.stack(of_columns)))
    if not of_measures:
        return {}
    means = _nanmean(np.stack(of_measures))
    if not np.isfinite(means[0]).all():
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of draws without any value
        errors = np.nanstd(means[1:], axis=0)
    alone = len(np.unique(drawn)) == 1
    return {
        row: (float(mean), None if alone else float(error))
        for row, mean, error in zip(rows, means[0], errors, strict=True)
    }


def _any(by_measure, row, chosen):
    return any(np.isfinite(c.values[row][chosen]).any() for cs in by_measure for c in cs)


def _ranks(values, better, pictures):
    """(1 + draws, methods); NaN for a draw in which a method has no value."""
    means = bootstrap.means(values, pictures)
    signed = -means if better == "higher" else means
    below = (signed[:, None] < signed[:, :, None]).sum(axis=2)
    equal = (signed[:, None] == signed[:, :, None]).sum(axis=2)
    complete = np.isfinite(signed).all(axis=1, keepdims=True)
    return np.where(complete, below + (equal + 1) / 2, np.nan)


def _nanmean(ranks):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of draws without any value
        return np.nanmean(ranks, axis=0)
