"""How much of a traced function's work is matrix products and convolutions."""

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


def _of(called: Any) -> int:
    return sum(_own(eqn) + _inside(eqn) for eqn in getattr(called, "jaxpr", called).eqns)


def _inside(eqn: Any) -> int:
    settings = [s if isinstance(s, tuple | list) else (s,) for s in eqn.params.values()]
    counts = [_of(part) for several in settings for part in several if hasattr(part, "eqns")]
    if eqn.primitive.name == "cond":
        return max(counts)
    return sum(counts) * (eqn.params["length"] if eqn.primitive.name == "scan" else 1)


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
