"""Functions of one number, known by their values."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from saljax.core.inlined import Step

_erf = np.vectorize(math.erf, otypes=[float])
_erfc = np.vectorize(math.erfc, otypes=[float])

# What happens to each number by itself, as numpy has it; of a step's settings only the exponent of
# `integer_pow` matters.
POINTWISE: dict[str, Callable[..., Any]] = {
    "add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide,
    "neg": np.negative, "abs": np.abs, "sign": np.sign, "square": np.square, "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x), "pow": np.power, "exp": np.exp, "exp2": np.exp2,
    "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "tanh": np.tanh, "erf": _erf,
    "erfc": _erfc, "logistic": lambda x: 1 / (1 + np.exp(-x)), "max": np.maximum,
    "min": np.minimum, "clamp": lambda low, x, high: np.clip(x, low, high),
    "select_n": lambda which, *cases: np.choose(np.asarray(which, int), cases),
    "gt": np.greater, "ge": np.greater_equal, "lt": np.less, "le": np.less_equal,
    "eq": np.equal, "ne": np.not_equal, "and": np.logical_and, "or": np.logical_or,
    "not": np.logical_not, "is_finite": np.isfinite, "convert_element_type": np.array,
    "copy": np.array, "copy_p": np.array, "reduce_precision": np.array, "integer_pow": np.power,
}  # fmt: skip


def _softplus(x):
    return np.logaddexp(x, 0)


def _elu(x, f):
    slope = f(-1.0) / np.expm1(-1)
    return np.where(x > 0, x, slope * np.expm1(x))


def _leaky(x, f):
    slope = f(-1.0) / -1
    return np.where(x > 0, x, slope * x)


def _selu(x):
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))


_FUNCTIONS: list[tuple[str, Callable[..., Any]]] = [
    ("relu", lambda x, f: np.maximum(x, 0)),
    ("leaky_relu", _leaky),
    ("silu", lambda x, f: x / (1 + np.exp(-x))),
    ("gelu", lambda x, f: x * _erfc(-x / 2**0.5) / 2),
    ("gelu", lambda x, f: x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))) / 2),
    ("gelu", lambda x, f: x / (1 + np.exp(-1.702 * x))),
    ("elu", _elu),
    ("selu", lambda x, f: _selu(x)),
    ("softplus", lambda x, f: _softplus(x)),
    ("mish", lambda x, f: x * np.tanh(_softplus(x))),
    ("hard_sigmoid", lambda x, f: np.clip(x / 6 + 0.5, 0, 1)),
    ("hard_swish", lambda x, f: x * np.clip(x / 6 + 0.5, 0, 1)),
    ("logistic", lambda x, f: 1 / (1 + np.exp(-x))),
]
"""Functions of one number x; those of a family look at f, the function that may be one of them."""

SMOOTH = tuple(dict.fromkeys(name for name, _ in _FUNCTIONS[1:10])) + ("hard_swish",)
"""Rectifiers that are no ReLU."""

_POINTS = np.concatenate([np.linspace(-3, 3, 25), [-7.0, 7.0]])


def computed(step: Step, values: Mapping[int, Any]) -> Any:
    """What a pointwise step makes of numbers."""
    power = [step.eqn.params["y"]] if step.name == "integer_pow" else []
    inputs = [np.asarray(values[n], float) for n in step.inputs]
    with np.errstate(all="ignore"):
        return POINTWISE[step.name](*inputs, *power)


def named(function: Callable[[Any], Any], dtype: Any) -> str | None:
    """The name of a function of one number, if it has one."""
    if not jnp.issubdtype(dtype, jnp.floating):
        return None
    tolerance = max(1e-5, 4 * float(jnp.finfo(dtype).eps))
    with np.errstate(all="ignore"):
        values = function(_POINTS)
        for name, expected in _FUNCTIONS:
            if np.allclose(
                values, expected(_POINTS, function), rtol=tolerance, atol=min(1e-3, tolerance)
            ):
                return name
    return None
