"""Compile once, with whatever a function closes over as arguments.

A compiled program is kept for the next call, and with it whatever its function closed over: weights
of long ago, if they were changed in place since. So a function is taken apart into its arrays,
which are arguments, and what decides the program. Where `saljax.core.closures` knows all that it
reaches, that is all. Where not, as with `lambda x: model(x)`, it is traced at each call, to see the
arrays of now, and equal traces share one program: nothing is compiled again, but a call costs a
trace more (the gradient of a ResNet-18 some 0.3 s, of a ResNet-50 0.5 s).
"""

import contextlib
import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.tree_util import Partial

from saljax.core import closures
from saljax.core.ask import last_line_first
from saljax.core.opened import Opened, opened
from saljax.core.scores import is_leaf

Program = Callable[..., Any]
"""program(arrays, *args): hashable, and equal to another that does the same."""

_JITTED = type(jax.jit(len))
_ARRAY = object()


def call(fn: Callable, *args: Any) -> Any:
    """`fn(*args)` as one compiled program; what `fn` closes over are arguments of it.

    Args:
        fn: any JAX function of arrays.
        args: pytrees of arrays.
    """
    arrays, program = closed(fn, *args)
    with last_line_first():
        return _call(arrays, args, program=program)


@functools.partial(jax.jit, static_argnames="program")
def _call(arrays, args, *, program):
    return program(arrays, *args)


def at_once(run: Callable, arrays: Any, *args: Any) -> Any:
    """Run a program as it is."""
    return run(arrays, *args)


def closed(
    fn: Callable, *args: Any, within: Callable[..., Any] = at_once
) -> tuple[list[Any], Program]:
    """Take a function apart into the arrays that it closes over and a program of these.

    Args:
        fn: any JAX function.
        args: what it will be called with; `jax.ShapeDtypeStruct`s are enough.
        within: within(run, arrays, *args) calls run(arrays, *args), under a transformation such as
            `jax.shard_map`; hashable, since the program is compiled for it.

    Returns:
        Arrays, and program(arrays, *args), which is fn(*args) within that.
    """
    arrays: list[Any] = []
    parts = _split(fn, arrays)
    with contextlib.suppress(closures.UnknownError):
        return _kept(arrays), _Known(parts, _key(parts, closures.key), within)
    fn = _filled(parts, iter(arrays))
    arrays, program = opened(lambda *args: within(lambda _, *args: fn(*args), (), *args), *args)
    arrays = _kept(arrays)
    # Under another transformation it may be differentiated: then nobody shares the program.
    traced = any(isinstance(x, Tracer) for x in jax.tree.leaves((arrays, args)))
    return arrays, program if traced else _Traced(program)


def split_arrays(tree: Any) -> tuple[list[Any], Hashable]:
    """Arrays of a pytree, and the hashable rest: structure, functions, numbers, strings.

    Unlike `closed` it sees leaves only, and takes functions as they are.
    """
    arrays: list[Any] = []
    parts = _split(tree, arrays)
    return arrays, _Known(parts, _key(parts, lambda leaf: leaf), at_once)


def join_arrays(arrays: Sequence[Any], rest: Any) -> Any:
    """The pytree that `split_arrays` took apart, with these arrays."""
    return _filled(rest.parts, iter(arrays))


def _kept(arrays):
    """A program runs on after its call returned, and who changes numpy's arrays need not wait."""
    return [np.array(x) if isinstance(x, np.ndarray) else x for x in arrays]


@dataclasses.dataclass(frozen=True)
class _Known:
    """A pytree without its arrays, among them all that it reaches if it is a function."""

    parts: Any = dataclasses.field(compare=False)
    key: Hashable
    within: Callable[..., Any]

    def __call__(self, arrays, *args):
        return self.within(self._run, arrays, *args)

    def _run(self, arrays, *args):
        return _filled(self.parts, iter(arrays))(*args)


@dataclasses.dataclass(frozen=True, eq=False)
class _Traced:
    """A traced function, the same as any other of the same operations."""

    opened: Opened

    def __call__(self, arrays, *args):
        return self.opened(arrays, *args)

    @functools.cached_property
    def _hash(self):
        return hash(self.opened.key)

    def __hash__(self):
        return self._hash

    def __eq__(self, other):
        return isinstance(other, _Traced) and self.opened.key == other.opened.key


@dataclasses.dataclass(frozen=True)
class _Applied:
    """A function and some of its arguments, taken apart."""

    parts: Any


def _split(value, arrays):
    """A pytree without its arrays, which go to a list; what partials hold are leaves too."""

    def part(leaf):
        if isinstance(leaf, jax.Array | np.ndarray):
            arrays.append(leaf)
            return _ARRAY
        if isinstance(leaf, _JITTED):
            return part(inspect.unwrap(leaf, stop=lambda fn: not isinstance(fn, _JITTED)))
        if isinstance(leaf, types.MethodType) and not is_leaf(leaf.__self__):
            return _Applied(_split((leaf.__func__, (leaf.__self__,), {}), arrays))
        if isinstance(leaf, functools.partial):
            return _Applied(_split((leaf.func, leaf.args, leaf.keywords), arrays))
        return leaf

    leaves, structure = jax.tree.flatten(value, lambda x: isinstance(x, functools.partial))
    return structure, [part(leaf) for leaf in leaves]


def _filled(parts, arrays):
    """The pytree that was split, with these arrays."""

    def whole(leaf):
        if isinstance(leaf, _Applied):
            fn, args, keywords = _filled(leaf.parts, arrays)
            start = (fn,) if is_leaf(fn) else (_apply, fn)
            return Partial(*start, *args, **keywords)
        return next(arrays) if leaf is _ARRAY else leaf

    structure, leaves = parts
    return jax.tree.unflatten(structure, [whole(leaf) for leaf in leaves])


def _key(parts, of):
    def key(leaf):
        if isinstance(leaf, _Applied):
            return _key(leaf.parts, of)
        return leaf if leaf is _ARRAY else of(leaf)

    structure, leaves = parts
    return structure, tuple(key(leaf) for leaf in leaves)


def _apply(fn, *args, **keywords):
    return fn(*args, **keywords)
