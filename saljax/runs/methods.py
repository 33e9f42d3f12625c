"""Methods by name: those of the table, and those of people's own files."""

import inspect
from typing import Any

from saljax.methods.table import METHODS, Known
from saljax.runs import own
from saljax.runs.hyperparameters import named


def known(name: str) -> Known:
    """What is known of a method.

    Of one's own it is asked one class at a time, about logits unless the function has an attribute
    `explains`, "logits" or "probabilities".

    Args:
        name: in the table, or FILE.py:NAME or PACKAGE.MODULE:NAME.

    Raises:
        ValueError: there is none, near names are listed; or it is no method.
    """
    if not own.is_own(name):
        return METHODS[named(name, METHODS, "method")]
    function = own.load(name).value
    try:
        parameters = [*inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):
        parameters = []
    kinds = [parameter.kind for parameter in parameters[:3]]
    if isinstance(function, type) or kinds != [inspect.Parameter.POSITIONAL_OR_KEYWORD] * 3:
        raise ValueError(f"{name} is no method; one is a function of (score_fn, image, target)")
    explains: Any = getattr(function, "explains", "logits")
    if explains not in ("logits", "probabilities"):
        raise ValueError(f'{name}.explains must be "logits" or "probabilities"; got {explains!r}')
    return Known(function, "", explains, one_class=True)


def source(name: str) -> dict[str, Any]:
    """What a record says of the source of a method of one's own; nothing of saljax's."""
    return {"source": own.load(name).record()} if own.is_own(name) else {}
