"""A Gaussian prior over maps whose neighbors are correlated, one axis at a time.

The covariance of the pixels (i, j) and (k, l) is kernel_h[i, k] * kernel_w[j, l]: the Kronecker
product of two small matrices, which is never formed.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


def autoregressive_kernel(n: int, rho: float | Float[Array, ""]) -> Float[Array, "n n"]:
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

    Source: our choice; S4 asks for a positive correlation of adjacent pixels and prints no kernel.
    """
    if isinstance(rho, int | float) and not 0 <= rho < 1:
        raise ValueError(f"`rho` must be at least 0 and less than 1; got {rho}.")
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

    Source: S4 (variational saliency maps), appendix D. Its equation 5 drops the factor 1/2 and the
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

    Source: S4 (variational saliency maps), appendix B, figure 2.
    """
    noise = jax.random.normal(key, (len(kernel_h), len(kernel_w)), kernel_h.dtype)
    roots = jnp.linalg.cholesky(kernel_h), jnp.linalg.cholesky(kernel_w)
    return jnp.einsum("ai,ij,bj->ab", roots[0], noise, roots[1], precision="highest")
