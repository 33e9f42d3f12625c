"""Sparseness: how unequally a map shares its mass out among the pixels."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.metrics import inputs


def sparseness(saliency: Float[Array, "..."]) -> Float[Array, ""]:
    """Gini index of the absolute values of a map.

    G = sum_i (2 i - n - 1) a_i / (n sum_i a_i),    a = |S| in ascending order, i = 1..n

    Args:
        saliency: S, of any shape.

    Returns:
        () in [0, 1 - 1/n]: 0 where all are equal, most where one pixel has all. The scale of a map
        and the order of its pixels do not count. NaN for a map of zeros or with a NaN.

    Source: Chalasani et al., "Concise Explanations of Neural Networks using Adversarial Training",
    ICML 2020, with the Gini index of Hurley and Rickard (2009). Others add 1e-7 to a, so that a map
    of zeros has sparseness 0.
    """
    mass = inputs.shares(saliency)
    ascending, number = jnp.sort(mass), mass.size
    places = 2 * jnp.arange(1, number + 1, dtype=jnp.float32) - (number + 1)
    return (places / number * ascending).sum()
