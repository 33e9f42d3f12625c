"""Methods by name: those of the table, and those of people's own files."""

import functools
import inspect
from collections.abc import Sequence
from typing import Any

from saljax import models
from saljax.methods.table import METHODS, Known
from saljax.runs import own, trained
from saljax.runs.hyperparameters import named

QUICK = ("grad_cam", "contrastive_excitation_backprop", "occlusion")
"""On photographs better than a spot in the middle, by insertion 0.52, 0.49 and 0.53 against 0.43,
by faithfulness 50, 47 and 50 against 38 (experiments/results/real_photographs.md; occlusion there
has finer windows, see `default_settings`), in a few passes or a few dozen. Our choice."""
PHOTOGRAPH = 128
"""Shorter side, in pixels, from which on a classifier is one of photographs. Our choice."""


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


def default(model: str) -> Sequence[str]:
    """What explains a classifier best in seconds, where nobody chose a method.

    Of photographs `QUICK` side by side, three families whose maps depend on the class; of the small
    generated pictures and volumes, and of classifiers of one's own, `glas`.

    Args:
        model: its name, see `classifier.info`.

    Raises:
        ValueError: there is no such model.
    """
    if own.is_own(model):
        return ("glas",)
    shape = models.info(trained.found(model)[0]).input_shape
    return QUICK if len(shape) == 3 and min(shape[:2]) >= PHOTOGRAPH else ("glas",)


def default_settings(name: str) -> dict[str, str]:
    """What is set in one of `QUICK`, as text: windows of 56 pixels, 28 apart, cost a tenth."""
    return {"window": "56", "stride": "28"} if name == "occlusion" else {}


def advice(name: str, method: functools.partial, shape: Sequence[int]) -> str:
    """What our own measurements say of a method's defaults, in a line; "" where they say nothing.

    Args:
        name: of the method.
        method: as it is configured.
        shape: (*spatial, C) of the classifier's images.
    """
    photographs = len(shape) == 3 and min(shape[:2]) >= PHOTOGRAPH
    if name not in ("glas", "rglas") or not photographs:
        return ""
    default = inspect.signature(method.func).parameters["sigma_light"].default
    if method.keywords.get("sigma_light", default) != default:
        return ""
    return (
        f"{name}: on photographs sigma_light=3 is finer than the default of 5 and points no worse "
        "(0.90 and 0.87 of 100, small objects 0.76 and 0.68 of 25, by ResNet-18: "
        "experiments/results/s1_table2_pointing.md); for the parts of similar classes try "
        "--sigmas 3,1.5"
    )
