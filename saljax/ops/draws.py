"""Uniform numbers that lie more evenly than independent ones."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key


def stratified(key: Key[Array, ""], number: int, dimension: int) -> Float[Array, "number dims"]:
    """A Latin hypercube: in each dimension one number in every interval of length 1/number.

    u_ij = (pi_j(i) + v_ij) / number, with a random permutation pi_j of each dimension and v uniform
    in [0, 1). Each row is uniform in [0, 1)^dimension, so that a mean over rows is unbiased.

    Args:
        key: of all of them.
        number: of rows.
        dimension: numbers a row.

    Returns:
        (number, dimension) float32 in [0, 1).

    Source: McKay, Beckman, Conover, Technometrics 1979.
    """
    of_order, of_place = jax.random.split(key)
    order = jnp.argsort(jax.random.uniform(of_order, (number, dimension), jnp.float32), axis=0)
    place = jax.random.uniform(of_place, (number, dimension), jnp.float32)
    drawn = (order.astype(jnp.float32) + place) / number
    return jnp.minimum(drawn, np.float32(1 - 2**-24))  # rounding may reach 1


@functools.cache
def sobol(dimension: int, number: int) -> np.ndarray:
    """The first points of the Sobol sequence, (number, dimension) in [0, 1), the origin first.

    Made on the host, before anything is traced.

    Raises:
        ValueError: more dimensions than the sequence has.
    """
    from scipy.stats import qmc

    if dimension > qmc.Sobol.MAXDIM:
        raise ValueError(
            f"a Sobol sequence has at most {qmc.Sobol.MAXDIM} dimensions; the grid needs "
            f"{dimension}: give a smaller `grid`."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that are no power of two
        return qmc.Sobol(dimension, scramble=False).random(number).astype(np.float32)
