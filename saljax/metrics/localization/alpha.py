"""The threshold of weak localization, chosen on held-out images."""

from typing import NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from saljax.core import checks
from saljax.metrics.localization.overlap import Rule, localization_error


class AlphaChoice(NamedTuple):
    """The threshold that errs least on held-out images.

    Attributes:
        alpha: the first of those with the fewest errors.
        alphas: (A,), all that were tried.
        errors: (A,), the share of images that each of them errs on.
    """

    alpha: float
    alphas: np.ndarray
    errors: np.ndarray


def choose_alpha(
    saliency: Float[Array, "batch height width"],
    boxes: Num[Array, "batch boxes 4"],
    *,
    rule: Rule = "energy",
    alphas: tuple[float, ...] | None = None,
    sizes: Int[Array, "batch 2"] | None = None,
) -> AlphaChoice:
    """Choose `alpha` of `localization_error` on held-out images; runs on the host.

    Args:
        saliency: (N, H, W), maps of a method on images that are not those of the evaluation.
        boxes: (N, B, 4) in pixels of the images of `sizes`, padded with NaN.
        rule: see `localization_box`.
        alphas: those to try; None: 0 to 0.95 by 0.05 for value and energy, 0 to 10 by 0.5 for mean.
        sizes: (N, 2), height and width of each image; the maps' own if None.

    Returns:
        An `AlphaChoice`.

    Raises:
        ValueError: see `localization_error`; or arrays that do not go together.

    Source: the grids are those of Fong and Vedaldi's supplement's official code, which takes 5000
    images of the training set.
    """
    checks.one_of(get_args(Rule), rule=rule)
    saliency = jnp.asarray(saliency, jnp.float32)
    if saliency.ndim != 3:
        raise ValueError(f"`saliency` must be maps (N, H, W); got shape {saliency.shape}.")
    number = len(saliency)
    if sizes is None:
        sizes = jnp.tile(jnp.asarray(saliency.shape[1:], jnp.int32), (number, 1))
    for name, array, shape in [("boxes", boxes, "(N, B, 4)"), ("sizes", sizes, "(N, 2)")]:
        if len(array) != number or array.ndim != shape.count(",") + 1:
            raise ValueError(f"`{name}` must be {shape} for {number} maps; got {array.shape}.")
    if alphas is None:
        alphas = tuple(np.arange(21) / 2 if rule == "mean" else np.arange(20) / 20)
    maps = saliency, jnp.asarray(boxes, jnp.float32), jnp.asarray(sizes, jnp.int32)
    errors = np.asarray(_errors(maps, jnp.asarray(alphas, jnp.float32), rule=rule)).mean(axis=0)
    return AlphaChoice(float(alphas[errors.argmin()]), np.asarray(alphas), errors)


@jax.jit(static_argnames="rule")
def _errors(maps, alphas, rule):
    def of_one(one):
        saliency, boxes, size = one
        return jax.vmap(
            lambda alpha: localization_error(saliency, boxes, rule=rule, alpha=alpha, size=size)
        )(alphas)

    return jax.lax.map(of_one, maps)
