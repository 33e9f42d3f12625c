"""Metrics of people's own files."""

import inspect
from typing import Any

from saljax.evaluation.columns import each
from saljax.evaluation.metrics_table import Known
from saljax.runs import own

_NEEDS = {
    ("saliency",): "map",
    ("saliency", "boxes"): "boxes",
    ("score_fn", "image", "target", "saliency"): "classifier",
}
"""By the names of the arguments before the keywords."""


def known(text: str) -> tuple[str, Known, str]:
    """Name of a metric, what is known of it, and the SHA-256 of its file.

    It takes `saliency`; or `saliency, boxes`; or `score_fn, image, target, saliency`, with
    probabilities as scores; and returns a number. An attribute `better` of it, "higher" or "lower",
    says how the table is read.

    Args:
        text: FILE.py:NAME or PACKAGE.MODULE:NAME.

    Raises:
        ValueError: there is none, or it is no metric.
    """
    found = own.load(text)
    try:
        parameters = inspect.signature(found.value).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    names = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
    better: Any = getattr(found.value, "better", "")
    if names not in _NEEDS or better not in ("", "higher", "lower"):
        kinds = "; ".join(f"({', '.join(kind)}, *, ...)" for kind in _NEEDS)
        raise ValueError(
            f'{text} is no metric: a function of one of {kinds}, its `better`, if any, "higher" or '
            '"lower"'
        )
    needs: Any = _NEEDS[names]
    digest = found.record().get("sha256", "")
    return found.name, Known(found.value, needs, each(found.name, better)), digest
