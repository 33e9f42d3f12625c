"""Means of random masks weighted by scores, from sums that go on, and their standard errors."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from saljax.methods.perturbation.masking import MaskOf, covered, sum_masks


class Sums(NamedTuple):
    """Sums over masks m with scores f, or over groups of masks that were drawn together.

    Attributes:
        weighted: sum of f m.
        plain: sum of m.
        squares: sum over groups of (their sum of f m)^2; None where no error is asked for.
        mixed: sum over groups of (their sum of f m) (their sum of m).
        plain_squares: sum over groups of (their sum of m)^2.
    """

    weighted: Float[Array, "..."]
    plain: Float[Array, "..."]
    squares: Any = None
    mixed: Any = None
    plain_squares: Any = None


def sums(
    answers: Float[Array, "masks *classes_asked"],
    mask_of: MaskOf,
    items: Any,
    group: int,
    chunk_size: int | None,
    squares: bool,
) -> Sums:
    """Sums over masks, made again from their items.

    Args:
        answers: f, (M,) or (M, T).
        mask_of: item -> m, an array of any shape.
        items: pytree of arrays with a leading axis of M.
        group: masks that were drawn together, one after the other; M is a multiple of it.
        chunk_size: masks at a time; memory only.
        squares: the last three too.

    Returns:
        `Sums`, each (*shape of m) or (T, *shape of m).
    """
    if not squares:
        return Sums(*sum_masks(answers, mask_of, items, chunk_size))
    if group == 1:
        (square, mixed), (plain_square, _) = sum_masks(
            jnp.stack([jnp.square(answers), answers], axis=1),
            lambda item: jnp.square(mask_of(item)),
            items,
            chunk_size,
        )
        weighted, plain = sum_masks(answers, mask_of, items, chunk_size)
        return Sums(weighted, plain, square, mixed, plain_square)

    def of_group(some):
        weights, of_these = some
        weighted, plain = sum_masks(weights, mask_of, of_these, chunk_size)
        return Sums(weighted, plain, jnp.square(weighted), weighted * plain, jnp.square(plain))

    together = jax.tree.map(lambda x: x.reshape(-1, group, *x.shape[1:]), (answers, items))
    shapes = jax.eval_shape(of_group, jax.tree.map(lambda x: x[0], together))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    def add(total, some):
        return jax.tree.map(jnp.add, total, of_group(some)), None

    return jax.lax.scan(add, zeros, together)[0]


def mean(
    total: Sums,
    middle: Float[Array, " *classes_asked"],
    number: int | Int[Array, ""],
    probability: float | None,
) -> Float[Array, "..."]:
    """The mean sum f m / (p N) or, weighted by the masks, sum f m / sum m.

    Args:
        total: sums over all masks.
        middle: what was taken from the scores before.
        number: N, how many masks there were.
        probability: p; None is the weighted mean.

    Returns:
        Of the shape of the sums; `middle` where no mask shows anything.
    """
    away = total.weighted / _divisor(total, number, probability)
    return away + middle.reshape(*middle.shape, *(1,) * (away.ndim - middle.ndim))


def standard_error(
    total: Sums, number: int | Int[Array, ""], group: int, probability: float | None
) -> Float[Array, "..."]:
    """The standard error of `mean`, from sums with squares.

    Args:
        total: see `mean`.
        number: see `mean`.
        group: see `sums`.
        probability: see `mean`.

    Returns:
        Of the shape of the sums; NaN for a single group, and for a weighted mean where no mask
        shows anything.
    """
    groups, divisor = jnp.float32(number) / group, _divisor(total, number, probability)
    # Squares of the residuals, (f_i - S) m_i of a ratio, f_i m_i - mean(f m) of a mean; of masks
    # that were drawn together, of their sums.
    if probability is None:
        away = total.weighted / divisor
        squares = total.squares - 2 * away * total.mixed + jnp.square(away) * total.plain_squares
    else:
        squares = total.squares - jnp.square(total.weighted) / groups
    error = jnp.sqrt(groups / (groups - 1) * jnp.maximum(squares, 0.0)) / divisor
    return error if probability is not None else jnp.where(total.plain > 0, error, jnp.nan)


def _divisor(total, number, probability):
    return covered(total.plain) if probability is None else probability * jnp.float32(number)
