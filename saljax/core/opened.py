"""Functions as something to compare: what they close over, and what they do with it."""

import dataclasses
import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import numpy as np
from jax.core import eval_jaxpr

from saljax.core.inlined import DERIVED, is_literal
from saljax.core.program import trace


@dataclasses.dataclass(frozen=True, eq=False)
class Opened:
    """A traced function of the arrays that it closed over, and of its arguments."""

    jaxpr: Any
    structure: Any

    def __call__(self, given: Sequence[Any], *args: Any) -> Any:
        """What the function returns, with these arrays in the place of those it closed over."""
        outputs = eval_jaxpr(self.jaxpr, given, *jax.tree.leaves(args))
        return jax.tree.unflatten(self.structure, outputs)

    @functools.cached_property
    def key(self) -> Hashable:
        """Equals the key of a function of the same operations, whatever it closed over.

        Their derivatives may differ, where these are rules of their own.
        """
        return _operations_of(self.jaxpr), self.structure


def opened(fn: Callable, *args: Any) -> tuple[list[Any], Opened]:
    """Arrays that `fn` closes over, and the same function of these and its arguments."""
    program = trace(fn, *args)
    return list(program.closed.consts), Opened(program.closed.jaxpr, program.structure)


def _operations_of(jaxpr):
    """What a traced function does, as something to compare and to look up."""
    numbers = {}

    def of(atom):
        if is_literal(atom):
            return atom.aval, np.asarray(atom.val).tobytes()
        return numbers.setdefault(atom, len(numbers)), atom.aval

    def each(eqn):
        derived = eqn.primitive.name in DERIVED  # their rules are new functions in each trace
        kept = {k: v for k, v in eqn.params.items() if not derived or hasattr(v, "eqns")}
        return eqn.primitive, tuple(map(of, eqn.invars)), tuple(map(of, eqn.outvars)), _fixed(kept)

    inputs = tuple(map(of, (*jaxpr.constvars, *jaxpr.invars)))
    operations = tuple(map(each, jaxpr.eqns))
    return len(jaxpr.constvars), inputs, operations, tuple(map(of, jaxpr.outvars))


def _fixed(setting):
    """A setting of an operation as something that equals its like."""
    if hasattr(setting, "eqns"):
        consts = getattr(setting, "consts", ())
        return _operations_of(getattr(setting, "jaxpr", setting)), tuple(map(_fixed, consts))
    if isinstance(setting, tuple | list):
        return type(setting), tuple(map(_fixed, setting))
    if isinstance(setting, dict):
        return tuple((name, _fixed(part)) for name, part in sorted(setting.items()))
    if isinstance(setting, np.ndarray):
        return jax.typeof(setting), setting.tobytes()
    try:
        hash(setting)
    except TypeError:
        return _Itself(setting)
    return type(setting), setting


class _Itself:
    """Something that equals nothing else, such as an array of JAX."""

    def __init__(self, value):
        self.value = value

    def __hash__(self):
        return id(self.value)

    def __eq__(self, other):
        return isinstance(other, _Itself) and self.value is other.value
