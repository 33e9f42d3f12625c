"""Complexity: among how many pixels does a map share its mass out?"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks
from saljax.metrics import inputs


def complexity(saliency: Float[Array, "..."], *, relative: bool = False) -> Float[Array, ""]:
    """Entropy of the shares that pixels have of a map.

    H = -sum_i q_i ln q_i,    q = |S| / sum |S|

    Args:
        saliency: S, of any shape.
        relative: divide by ln n, the most that n values can have, so that maps of different sizes
            compare: our own.

    Returns:
        () in [0, ln n], or in [0, 1]: 0 where one pixel has all, most where all are equal. NaN for
        a map of zeros or with a NaN.

    Source: Bhatt, Weller, Moura, "Evaluating and Aggregating Feature-based Model Explanations",
    IJCAI 2020. Others add 1e-12 inside the logarithm; 0 ln 0 = 0 needs none. What pnpxai calls
    complexity, the entropy of a histogram, is another quantity.
    """
    share = inputs.shares(saliency)
    entropy = -jnp.where(share > 0, share * jnp.log(jnp.where(share > 0, share, 1.0)), 0.0).sum()
    entropy = jnp.where(jnp.isnan(share).any(), jnp.nan, entropy)
    return entropy / jnp.log(jnp.float32(max(share.size, 2))) if relative else entropy


def effective_complexity(
    saliency: Float[Array, "..."], *, threshold: float = 1e-5
) -> Float[Array, ""]:
    """Number of pixels that say anything: |S| / max |S| > threshold.

    Args:
        saliency: S, of any shape.
        threshold: of the largest absolute value; 1e-5 is Quantus's, LATEC takes 0.01.

    Returns:
        () in 0..n; 0 for a map of zeros, NaN for one with a NaN.

    Raises:
        ValueError: a negative `threshold`.

    Source: Nguyen and Martinez, "On quantitative aspects of model interpretability", 2020.
    """
    checks.not_negative(threshold=threshold)
    size = jnp.abs(inputs.any_map(saliency))
    number = (size > threshold * size.max()).sum().astype(jnp.float32)
    return jnp.where(jnp.isnan(size).any(), jnp.nan, number)
