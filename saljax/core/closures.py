"""What a function can reach besides its arguments.

A function whose code and closure lead to nothing but settings (numbers, strings, other such
functions) computes the same as long as these are the same. One that may lead to an array, a model
or anything unknown does not: who keeps what it computed, or compiled, keeps old weights.
"""

import dataclasses
import dis
import functools
import inspect
import pathlib
import sys
import types
from collections.abc import Hashable, Iterable
from enum import Enum
from typing import Any

import jax
import numpy as np

_SETTINGS = (type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype, Enum, type)
_BUILT_IN = (types.BuiltinFunctionType, types.EllipsisType, range, slice)
_LIBRARIES = ("jax", "jaxlib", "numpy")
_INSTALLED = ("/site-packages/", "/dist-packages/", pathlib.Path(__file__).parents[1].as_posix())


class UnknownError(Exception):
    """It cannot be told from the outside what a function computes with."""


def key(value: Any) -> Hashable:
    """What tells a setting, or a function that reaches nothing but settings, from others.

    Functions that an installed library has under their name are taken at their word. A log that a
    function appends to, and variables that it assigns, such as a count, are no settings of it.

    Args:
        value: a number, a string, a function, ...

    Returns:
        Something that equals the key of what computes the same.

    Raises:
        UnknownError: it is, or may reach, something else.
    """
    return _key(value, (), {})


def _key(value, names, seen):
    """`names`, of globals and attributes, are those in the code that reaches the value."""

    def keys(values: Iterable[Any], names=names):
        return tuple(_key(each, names, seen) for each in values)

    if isinstance(value, _SETTINGS):
        return type(value), value
    if isinstance(value, tuple):
        return type(value), keys(value)
    if isinstance(value, list):
        if "append" not in names:
            raise UnknownError
        return list
    if isinstance(value, functools.partial):
        return keys((value.func, value.args, *sorted(value.keywords.items())))
    if isinstance(value, types.MethodType):
        return keys((value.__func__, value.__self__))
    if isinstance(value, types.FunctionType):
        if value in seen or _is_by_name(value):
            return seen.get(value, value)
        seen[value] = len(seen)
        return value.__code__, keys(_reached(value), _names(value.__code__)[0])
    if isinstance(value, types.ModuleType):
        inside = {} if _is_installed(getattr(value, "__file__", None)) else vars(value)
        return value.__name__, keys(inside[name] for name in names if name in inside)
    if isinstance(value, jax.Array | np.ndarray):
        raise UnknownError
    if hasattr(value, "__wrapped__"):  # a jit, a derivative of its own, a cache
        return value, keys((inspect.unwrap(value),))
    if isinstance(value, _BUILT_IN) or type(value).__module__.partition(".")[0] in _LIBRARIES:
        return _hashed(value)
    if dataclasses.is_dataclass(value) and type(value).__hash__ is not object.__hash__:
        return _hashed(value)  # a Linen module, what `override` makes
    raise UnknownError


def _hashed(value):
    try:
        return type(value), hash(value), value
    except TypeError:
        raise UnknownError from None


def _reached(function):
    """Defaults of a function, and what its variables from outside hold."""
    names, assigned = _names(function.__code__)
    free = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    try:
        yield from (cell.cell_contents for name, cell in free if name not in assigned)
    except ValueError:  # a cell that is still empty
        raise UnknownError from None
    yield function.__defaults__
    yield tuple((function.__kwdefaults__ or {}).items())
    if not _is_installed(function.__code__.co_filename):
        known = function.__globals__
        yield from (known[name] for name in names if name in known and name not in assigned)


@functools.lru_cache(maxsize=4096)
def _names(code):
    """Names of globals and attributes in a function's code, and those that it assigns itself."""
    inner = [_names(const) for const in code.co_consts if isinstance(const, types.CodeType)]
    steps = dis.get_instructions(code)
    assigned = {step.argval for step in steps if step.opname in ("STORE_DEREF", "STORE_GLOBAL")}
    names = set(code.co_names).union(*(names for names, _ in inner))
    return tuple(sorted(names)), frozenset(assigned.union(*(own for _, own in inner)))


def _is_by_name(function):
    """Whether a function of a library is what its module has under its name."""
    module = found = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is function and _is_installed(getattr(module, "__file__", None))


def _is_installed(file):
    """Whether a file is no part of somebody's own code; what is built in has none."""
    return file is None or any(place in file.replace("\\", "/") for place in _INSTALLED)
