"""The distribution controller of DRE: relevance scores with a long tail on the right."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

VARIANCE_FLOOR = 1e-5
"""Added to the variance of a map, so that a constant one has a value: DRE's code."""


def skew_controller(
    x: Float[Array, "..."], eta: float = 1.5, h: float = 2.5
) -> Float[Array, "..."]:
    """Give the scores of one map a chosen distribution and keep their order.

    y = (x - mean x) / sqrt(var x + 1e-5),    z = sigmoid(eta y) ** h

    For normal scores eta = 1.5 makes the sigmoid nearly uniform, and h = 2.5 leaves many low scores
    and a tail of high ones; the median of z is 0.5 ** h. Skewness is certain to be positive only
    where x is nearly symmetric: scores with a long tail on the left keep some of it.

    Args:
        x: the scores of one map, of any shape; all its elements are normalized together.
        eta: spread before the sigmoid, > 0.
        h: power, > 0; above 1 for a tail on the right, below for one on the left.

    Returns:
        z, of the shape of `x`, in (0, 1); increasing with x, the same for a x + b with a > 0.

    Raises:
        ValueError: `eta` or `h` is not above 0.

    Source: the DRE paper, equations 6 and 7; 1e-5 and the variance that divides by n are of its
    code.
    """
    for name, value in (("eta", eta), ("h", h)):
        if isinstance(value, int | float) and not value > 0:
            raise ValueError(f"`{name}` must be greater than 0; got {value}.")
    y = (x - x.mean()) / jnp.sqrt(x.var() + VARIANCE_FLOOR)
    return jax.nn.sigmoid(eta * y) ** h


def _standard_normal(y):
    return jnp.exp(-jnp.square(y) / 2) / math.sqrt(2 * math.pi)


def skew_density(
    z: Float[Array, "..."],
    eta: float = 1.5,
    h: float = 2.5,
    density: Callable = _standard_normal,
) -> Float[Array, "..."]:
    """Density of what `skew_controller` makes of scores whose normalized density is known.

    p(z) = density(y) / (h eta z (1 - z^(1/h))),    y = -ln(z^(-1/h) - 1) / eta

    Args:
        z: where, in (0, 1).
        eta: as in `skew_controller`.
        h: as in `skew_controller`.
        density: of y, the scores with mean 0 and variance 1; normal unless told.

    Returns:
        p(z) >= 0, of the shape of `z`.

    Source: the DRE paper, equation 8, and appendix B for other densities than the normal.
    """
    power = jnp.log(z) / h  # z^(1/h) = exp(power)
    y = -jnp.log(jnp.expm1(-power)) / eta
    return density(y) / (h * eta * z * -jnp.expm1(power))
