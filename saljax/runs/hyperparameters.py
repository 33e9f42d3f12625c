"""What can be set in a method, read from its signature and docstring."""

import difflib
import functools
import inspect
import math
import re
import sys
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import docstring_parser

from saljax.methods.perturbation.glas import pixels_per_unit
from saljax.methods.table import METHODS, Known

REQUIRED = inspect.Parameter.empty
SIMPLE = (bool, int, float, str)


class Hyperparameter(NamedTuple):
    """A keyword of a method that numbers or words can set.

    Attributes:
        name: the keyword.
        kind: bool, int, float or str.
        default: its default, or `REQUIRED` where it must be given.
        choices: the words allowed; empty where any value is.
        description: from the docstring.
        one: it may be one value.
        several: it may be a tuple of them.
    """

    name: str
    kind: type
    default: Any
    choices: tuple[str, ...]
    description: str
    one: bool = True
    several: bool = False

    def parse(self, text: str) -> Any:
        """A value from text, several separated by commas; ValueError says what was expected."""
        parts = [part.strip() for part in text.split(",")] if self.several else [text.strip()]
        values = tuple(self._value(part) for part in parts)
        return values[0] if self.one and len(values) == 1 else values

    def _value(self, text: str) -> Any:
        if self.choices and text not in self.choices:
            raise ValueError(f"{text!r} is not one of {', '.join(self.choices)}")
        if self.kind is bool and text.lower() not in ("true", "false"):
            raise ValueError(f"{text!r} is not true or false")
        try:
            return text.lower() == "true" if self.kind is bool else self.kind(text)
        except ValueError:
            what = "a whole number" if self.kind is int else "a number"
            many = ", or several separated by commas" if self.several else ""
            raise ValueError(f"{text!r} is not {what}{many}") from None


def hyperparameters(method: Callable) -> list[Hyperparameter]:
    """Keywords of a method, or of a class, that can be given as text, in the order they have there.

    Keywords that hold arrays or functions (keys, search points, optimizers) are left out, and
    `details`, which changes what is returned.
    """
    called = method.__init__ if isinstance(method, type) else method
    hints = typing.get_type_hints(called)
    found = []
    for parameter in inspect.signature(called).parameters.values():
        asked = parameter.kind is parameter.KEYWORD_ONLY and parameter.name != "details"
        taken = _taken(hints.get(parameter.name), parameter.default) if asked else None
        if taken is not None:
            kind, choices, one, several = taken
            text = _described(method, parameter.name)
            found.append(
                Hyperparameter(parameter.name, kind, parameter.default, choices, text, one, several)
            )
    return found


def configure(known: Known, given: Mapping[str, Any], layer: str | None) -> functools.partial:
    """A method with its hyperparameters.

    Args:
        known: the method.
        given: hyperparameters that were asked for; None where the method's default is meant.
        layer: of the classifier, for a method whose map is that of a layer, unless one was given;
            None: what the method chooses.

    Returns:
        The method.
    """
    keywords = {keyword: value for keyword, value in given.items() if value is not None}
    if known.at_layer:
        keywords["layer"] = keywords.get("layer") or layer
    return functools.partial(known.function, **keywords)


def named(name: str, known: Collection[str], what: str) -> str:
    """The name itself; ValueError with near names if it is not known."""
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=3) or sorted(known)
    there = f"there is {', '.join(near)}" if near else "there is none"
    raise ValueError(f"no {what} is called {name!r}; {there}")


def in_effect(
    method: functools.partial,
    sigmas: Sequence[float] | None = None,
    spatial: Sequence[int] | None = None,
) -> dict[str, Any]:
    """All hyperparameters of a configured method: what was given, and the defaults of the rest.

    Args:
        method: `functools.partial` of a method.
        sigmas: what its sigmas were set to one after the other, see `coarse_to_fine`.
        spatial: shape of the images; lengths that follow it are then the numbers they become.

    Returns:
        A JSON object; arrays as lists, functions by their name.
    """
    keywords = inspect.signature(method.func).parameters.values()
    defaults = {p.name: p.default for p in keywords if p.kind is p.KEYWORD_ONLY}
    values = {**defaults, **method.keywords}
    values |= dict.fromkeys(_widths(method.func), list(sigmas)) if sigmas else {}
    if spatial is not None:
        values |= {n: v for n, v in _for_size(method.func, spatial).items() if values[n] is None}
    hidden = ("key", "details")
    return {name: recorded(value) for name, value in values.items() if name not in hidden}


def coarse_to_fine(method: functools.partial, sigmas: Sequence[float]) -> list[functools.partial]:
    """One method a sigma, all its sigmas set to it (the GLAS paper's fine-grained protocol).

    Args:
        method: `functools.partial` of a method.
        sigmas: widths, in the unit of the method's sigmas.

    Returns:
        Configured methods.

    Raises:
        ValueError: the method has no sigmas.
    """
    widths = _widths(method.func)
    if not widths:
        raise ValueError(f"{method.func.__name__} has no sigmas to set")
    return [functools.partial(method, **dict.fromkeys(widths, sigma)) for sigma in sigmas]


def said_of_sigma(method: functools.partial, sigma: float, spatial: Sequence[int]) -> str:
    """`sigma 6 (38 px)`: a width as the method has it, and in pixels of what the classifier sees.

    Args:
        method: `functools.partial` of a method, whose sigmas are in its `unit` if it has one.
        sigma: in that.
        spatial: shape of the images.
    """
    parameters = inspect.signature(method.func).parameters
    if "unit" not in parameters:
        return f"sigma {sigma:g}"
    pixels = pixels_per_unit(method.keywords.get("unit", parameters["unit"].default), (*spatial,))
    return f"sigma {sigma:g} ({sigma * pixels:.0f} px)"


def _for_size(method: Callable, spatial: Sequence[int]) -> dict[str, Any]:
    known = [known for known in METHODS.values() if known.function is method]
    return known[0].defaults_for(spatial) if known and known[0].defaults_for else {}


def _widths(method: Callable) -> list[str]:
    return [name for name in inspect.signature(method).parameters if name.startswith("sigma_")]


def summary(method: Callable) -> str:
    """First sentence of the docstring."""
    return _docstring(method).short_description or ""


def _docstring(method):
    return docstring_parser.parse_from_object(method, docstring_parser.DocstringStyle.GOOGLE)


def _described(method: Callable, name: str) -> str:
    """From the docstring's Args; where it says to see another method, from there."""
    texts = {p.arg_name: p.description or "" for p in _docstring(method).params}
    text = " ".join(texts.get(name, "").split())
    elsewhere = re.match(r"see `(\w+)`\W*", text)
    if not elsewhere:
        return text
    known = {known.function.__name__: known.function for known in METHODS.values()}
    neighbors = {**known, **vars(sys.modules[method.__module__])}
    return " ".join([_described(neighbors[elsewhere[1]], name), text[elsewhere.end() :]]).strip()


def _taken(hint: Any, default: Any) -> tuple[type, tuple[str, ...], bool, bool] | None:
    """Kind, choices, whether one value may be given, whether several; None where text cannot."""
    is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    allowed = typing.get_args(hint) if is_union else (hint,)
    words = [h for h in allowed if typing.get_origin(h) is typing.Literal]
    if words:
        return str, typing.get_args(words[0]), True, False
    tuples = [typing.get_args(h) for h in allowed if typing.get_origin(h) in (tuple, Sequence)]
    kinds_inside = [kinds[0] for kinds in tuples if kinds[0] in SIMPLE]
    alone = [kind for kind in (*allowed, type(default)) if kind in SIMPLE]
    if not alone and not kinds_inside:
        return None
    return (alone or kinds_inside)[0], (), bool(alone), bool(kinds_inside)


def recorded(value: Any) -> Any:
    """A value of a hyperparameter as JSON; functions by their name."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no infinity
    if value is None or isinstance(value, (*SIMPLE, list)):
        return value
    if isinstance(value, tuple):
        return [recorded(part) for part in value]
    if hasattr(value, "as_json"):
        return value.as_json()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, functools.partial):
        keywords = ", ".join(f"{name}={recorded(v)}" for name, v in value.keywords.items())
        return f"{recorded(value.func)}({keywords})"
    # Where in memory an object lies is no part of what was in effect.
    return getattr(value, "__name__", re.sub(r" at 0x[0-9a-f]+", "", repr(value)))
