"""Skewness: does a map say much of a few pixels and little of the others?"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def skewness(values: Float[Array, "..."]) -> Float[Array, ""]:
    """Pearson's second coefficient of skewness, 3 (mean - median) / std.

    Args:
        values: of any shape.

    Returns:
        () in [-3, 3]; positive where the long tail is on the right, 0 for equal values.

    Source: the DRE paper, figure 6, names "Pearson's Coefficients of Skewness" after Doane and
    Seward (2011) and prints no formula; of the two this is the one without a mode. std divides by
    n.
    """
    values = jnp.asarray(values, jnp.float32)
    away, spread = values.mean() - jnp.median(values), values.std()
    equal = values.max() == values.min()  # then both are nothing but rounding
    return jnp.where(equal, 0.0, 3 * away / jnp.where(spread > 0, spread, 1.0))
