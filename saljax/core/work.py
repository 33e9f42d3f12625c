"""What a traced function will cost: multiplications, and memory."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from saljax.core.program import trace


def multiplications(fn: Callable, *args: Any) -> int:
    """Multiplications in the matrix products and convolutions of a function, without running it.

    A loop of known length counts that often; of one that ends when it likes a single turn, and of
    branches the longest. What a callback does is not seen.

    Args:
        fn: any function that JAX can trace.
        args: its arguments, or their shapes (`jax.ShapeDtypeStruct`).
    """
    return _of(trace(fn, *args).closed)


def live_bytes(fn: Callable, *args: Any) -> int:
    """Bytes of the arrays that are alive at once, at most, without running the function.

    Counted operation by operation: what the compiler fuses is never stored, and what a fast
    convolution needs beside its input and output is not seen.

    Args:
        fn: any function that JAX can trace; what it closes over, such as weights, is not counted.
        args: its arguments, or their shapes (`jax.ShapeDtypeStruct`), which are.
    """
    closed = trace(fn, *args).closed
    return _peak(closed, {var: _bytes(var) for var in closed.jaxpr.invars})


def _peak(called: Any, alive: dict[Any, int]) -> int:
    """Most bytes alive at once: of the inputs given, until their last use, and what is made."""
    jaxpr = getattr(called, "jaxpr", called)
    last = {v: n for n, eqn in enumerate(jaxpr.eqns) for v in eqn.invars if not hasattr(v, "val")}
    last |= {v: len(jaxpr.eqns) for v in jaxpr.outvars if not hasattr(v, "val")}
    peak = sum(alive.values())
    for number, eqn in enumerate(jaxpr.eqns):
        made = {var: _bytes(var) for var in eqn.outvars}
        inside = [_peak(part, {}) for part in _parts(eqn)]  # its inputs are alive here
        peak = max(peak, sum(alive.values()) + max(sum(made.values()), *inside, 0))
        alive = {v: size for v, size in (alive | made).items() if last.get(v, -1) > number}
    return peak


def _bytes(atom: Any) -> int:
    return math.prod(atom.aval.shape) * getattr(atom.aval.dtype, "itemsize", 1)


def _of(called: Any) -> int:
    return sum(_own(eqn) + _inside(eqn) for eqn in getattr(called, "jaxpr", called).eqns)


def _inside(eqn: Any) -> int:
    counts = [_of(part) for part in _parts(eqn)]
    if eqn.primitive.name == "cond":
        return max(counts)
    return sum(counts) * (eqn.params["length"] if eqn.primitive.name == "scan" else 1)


def _parts(eqn: Any) -> Sequence[Any]:
    """The functions that an operation calls."""
    settings = [s if isinstance(s, tuple | list) else (s,) for s in eqn.params.values()]
    return [part for several in settings for part in several if hasattr(part, "eqns")]


def _own(eqn: Any) -> int:
    shapes = [_shape(atom) for atom in eqn.invars]
    if eqn.primitive.name == "dot_general":
        (_, summed), (_, batch) = eqn.params["dimension_numbers"]
        rest = [n for axis, n in enumerate(shapes[1]) if axis not in (*summed, *batch)]
        return math.prod(shapes[0]) * math.prod(rest)
    if eqn.primitive.name == "conv_general_dilated":
        out, kernel = _shape(eqn.outvars[0]), shapes[1]
        features = kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
        zeros = math.prod(eqn.params["lhs_dilation"])  # of a transposed one, between its inputs
        return math.prod(out) * math.prod(kernel) // (features * zeros)
    return 0


def _shape(atom: Any) -> Sequence[int]:
    return atom.aval.shape
