"""A Gaussian prior over maps whose neighbors are correlated, one axis at a time.

The covariance of the pixels (i, j) and (k, l) is kernel_h[i, k] * kernel_w[j, l]: the Kronecker
product of two small matrices, which is never formed. Of the autoregressive kernel not even these
are: its inverse has three diagonals, and everything costs as much as reading the map.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Correlation = float | Float[Array, ""]


def autoregressive_kernel(n: int, rho: Correlation) -> Float[Array, "n n"]:
    """Covariance along an axis that forgets by `rho` a pixel: kappa[i, j] = rho ** |i - j|.

    Its quadratic form is a soft total variation, x_1^2 + sum (x_t - rho x_(t-1))^2 / (1 - rho^2).
    It stays well conditioned (356 for n = 224 and rho = 0.9), where a squared exponential of a few
    pixels' length cannot be inverted in float32.

    Args:
        n: pixels of the axis.
        rho: correlation of neighbors, in [0, 1).

    Returns:
        (n, n) float32, of unit diagonal.

    Raises:
        ValueError: `rho` is not in [0, 1).

    Source: our choice; the VSM paper asks for a positive correlation of adjacent pixels and prints
    no kernel.
    """
    rho = _one_for_each(rho, 1)[0]
    pixels = jnp.arange(n)
    return jnp.float32(rho) ** jnp.abs(jnp.subtract.outer(pixels, pixels)).astype(jnp.float32)


def kronecker_kl(
    mean: Float[Array, "h w"],
    variance: Float[Array, "h w"],
    kernel_h: Float[Array, "rows rows"],
    kernel_w: Float[Array, "columns columns"],
) -> Float[Array, ""]:
    """KL divergence of independent Gaussian pixels from the prior N(0, kernel_h (x) kernel_w).

    KL = 1/2 [ diag(kh^-1)^T V diag(kw^-1) + sum(U * (kh^-1 U kw^-1)) - h w
               + w log|kh| + h log|kw| - sum log V ]

    with U the mean and V the variance. Costs the Cholesky factors of the two small kernels.

    Args:
        mean: U, (h, w).
        variance: V, (h, w), > 0.
        kernel_h: kh, (h, h), symmetric and positive definite; NaN comes out where it is not.
        kernel_w: kw, (w, w), likewise.

    Returns:
        () in nats, >= 0.

    Raises:
        ValueError: the shapes do not fit.

    Source: the VSM paper, appendix D. Its equation 5 drops the factor 1/2 and the
    constants, which are kept here; equation 3 has the two kernels in each other's place for rsh of
    its definition, which is the transpose of an image, and equation 2 lacks the sum.
    """
    rows, columns = mean.shape
    expected = ((rows, columns), (rows, rows), (columns, columns))
    if (variance.shape, kernel_h.shape, kernel_w.shape) != expected:
        raise ValueError(
            f"for a `mean` of shape {mean.shape} the variance and the two kernels must have shapes "
            f"{expected[0]}, {expected[1]} and {expected[2]}; got {variance.shape}, "
            f"{kernel_h.shape} and {kernel_w.shape}."
        )
    roots = [jnp.linalg.cholesky(kernel) for kernel in (kernel_h, kernel_w)]
    white_h, white_w = (
        jax.scipy.linalg.solve_triangular(root, jnp.eye(len(root), dtype=root.dtype), lower=True)
        for root in roots
    )
    log_h, log_w = (2 * jnp.log(jnp.diag(root)).sum() for root in roots)
    spread = jnp.einsum(
        "ai,ij,bj->", jnp.square(white_h), variance, jnp.square(white_w), precision="highest"
    )
    whitened = jnp.einsum("ai,ij,bj->ab", white_h, mean, white_w, precision="highest")
    log_determinants = columns * log_h + rows * log_w - jnp.log(variance).sum()
    return (spread + jnp.square(whitened).sum() - mean.size + log_determinants) / 2


def kronecker_sample(
    key: PRNGKeyArray, kernel_h: Float[Array, "h h"], kernel_w: Float[Array, "w w"]
) -> Float[Array, "h w"]:
    """A map drawn from the prior N(0, kernel_h (x) kernel_w), to see what it believes.

    S = L_h E L_w^T, with E of independent standard normals and kappa = L L^T.

    Args:
        key: PRNG key.
        kernel_h: (h, h), symmetric and positive definite.
        kernel_w: (w, w), likewise.

    Returns:
        (h, w).

    Source: the VSM paper, appendix B, figure 2.
    """
    noise = jax.random.normal(key, (len(kernel_h), len(kernel_w)), kernel_h.dtype)
    roots = jnp.linalg.cholesky(kernel_h), jnp.linalg.cholesky(kernel_w)
    return jnp.einsum("ai,ij,bj->ab", roots[0], noise, roots[1], precision="highest")


def autoregressive_kl(
    mean: Float[Array, "*spatial"],
    variance: Float[Array, "*spatial"],
    rho: Correlation | Sequence[Correlation],
) -> Float[Array, ""]:
    """`kronecker_kl` for an autoregressive kernel along each axis, in the time of reading the map.

    kappa^-1 = W^T W, where W x is x_1 and then (x_t - rho x_(t-1)) / sqrt(1 - rho^2): differences
    of neighbors whiten the mean, one axis after the other. The diagonal of kappa^-1 is
    (1, 1 + rho^2, ..., 1 + rho^2, 1) / (1 - rho^2), and log|kappa| = (n - 1) log(1 - rho^2).

    Args:
        mean: U, (*spatial), with any number of axes.
        variance: V, of the same shape, > 0.
        rho: correlation of neighbors in [0, 1), one for all axes or one for each.

    Returns:
        () in nats, >= 0.

    Raises:
        ValueError: a `rho` is not in [0, 1), there is not one for each axis, or the shapes differ.

    Source: the VSM paper, appendix D, for the kernel of `autoregressive_kernel`,
    which is our choice with its closed forms.
    """
    if variance.shape != mean.shape:
        raise ValueError(
            f"`variance` must have the shape of the mean, {mean.shape}; got {variance.shape}."
        )
    white, spread, log_determinant = mean, variance, 0.0
    for correlation in _one_for_each(rho, mean.ndim):  # the axis in front, which then goes behind
        n, rest = len(white), 1 - correlation**2
        diagonal = jnp.full(n, 1 / rest, mean.dtype).at[0].set(1).at[:-1].add(correlation**2 / rest)
        spread = jnp.tensordot(diagonal, spread, 1, precision="highest")
        steps = (white[1:] - correlation * white[:-1]) / rest**0.5
        white = jnp.moveaxis(jnp.concatenate([white[:1], steps]), 0, -1)
        log_determinant += mean.size // n * (n - 1) * jnp.log(rest)
    log_determinant -= jnp.log(variance).sum()
    return (spread + jnp.square(white).sum() - mean.size + log_determinant) / 2


def autoregressive_sample(
    key: PRNGKeyArray, shape: Sequence[int], rho: Correlation | Sequence[Correlation]
) -> Float[Array, "*spatial"]:
    """`kronecker_sample` for an autoregressive kernel along each axis, in the time of writing it.

    Along an axis x_t = rho x_(t-1) + sqrt(1 - rho^2) e_t from x_1 = e_1, with e of independent
    standard normals for the first axis, and what came out of the axis before for the others.

    Args:
        key: PRNG key.
        shape: (*spatial).
        rho: as of `autoregressive_kl`.

    Returns:
        (*spatial) float32, of mean 0 and variance 1 at each pixel.

    Raises:
        ValueError: a `rho` is not in [0, 1), or there is not one for each axis.

    Source: the VSM paper, appendix B, figure 2.
    """
    x = jax.random.normal(key, tuple(shape), jnp.float32)
    for correlation in _one_for_each(rho, len(shape)):

        def step(before, new, rho=correlation):
            now = rho * before + (1 - rho**2) ** 0.5 * new
            return now, now

        _, others = jax.lax.scan(step, x[0], x[1:])
        x = jnp.moveaxis(jnp.concatenate([x[:1], others]), 0, -1)
    return x


def _one_for_each(rho, axes) -> tuple[Any, ...]:
    rhos = tuple(rho) if isinstance(rho, tuple | list) else (rho,) * axes
    if len(rhos) != axes:
        raise ValueError(f"`rho` must be one number or one for each of {axes} axes; got {rho}.")
    for value in rhos:
        if isinstance(value, int | float) and not 0 <= value < 1:
            raise ValueError(f"`rho` must be at least 0 and less than 1; got {value}.")
    return rhos
