"""The k largest of n scores as a mask that has a derivative."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def soft_topk(
    scores: Float[Array, "..."], k: float | Float[Array, ""], epsilon: float = 0.1
) -> Float[Array, "..."]:
    """How much each score belongs to the k largest: entropic transport of n scores onto 2 anchors.

    Gamma = argmin <C, Gamma> - epsilon H(Gamma),    C_ij = (s_i - y_j)^2 / max C,    y = (1, 0)
    A_i = n Gamma_i1, where rows of Gamma sum to 1/n and columns to (k/n, (n - k)/n)

    With two anchors no iteration is needed to balance rows and columns:
    A_i = sigmoid(2 s_i / (max C epsilon) - tau), with the tau for which sum A = k, found by
    bisection. The derivative is the one of this equation,
    dA_i/ds_j = 2 / (max C epsilon) (q_i [i = j] - q_i q_j / sum q),    q = A (1 - A).

    The anchors lie at 1 and 0, so `epsilon` is sharp or soft with the spread of the scores: bring
    them to [0, 1] or to unit variance first where they have another scale.

    Args:
        scores: s, of any shape; the choice is among all elements.
        k: how many, 0 < k < n; need not be whole.
        epsilon: > 0; towards 0 the mask becomes the hard choice and its derivative vanishes.

    Returns:
        A, of the shape of `scores`, in [0, 1], with sum k; increasing with the score.

    Raises:
        ValueError: `k` does not lie between 0 and n, or `epsilon` is not above 0.

    Source: SOFT (Xie et al., NeurIPS 2020), section 3; used by the VSM paper. Deviations: the
    anchors are (1, 0), since the printed (0, 1) choose the k smallest; the closed form in the place
    of Sinkhorn iterations is ours, and exact; max C is of these scores alone and not of a batch
    (our choice), and has no derivative, as in SOFT's code.
    """
    if isinstance(k, int | float) and not 0 < k < scores.size:
        raise ValueError(
            f"`k` must lie between 0 and the number of scores, {scores.size}, without them; got "
            f"{k}."
        )
    if isinstance(epsilon, int | float) and not epsilon > 0:
        raise ValueError(f"`epsilon` must be greater than 0; got {epsilon}.")
    cost = jnp.maximum(jnp.square(scores), jnp.square(scores - 1)).max()
    sharp = 2 * scores / (jax.lax.stop_gradient(cost) * epsilon)
    return _balanced_sigmoid(sharp, jnp.asarray(k, scores.dtype))


BISECTIONS = 60
"""Each halves the range of tau, which is that of the scores; float32 is exhausted sooner."""


@jax.custom_jvp
def _balanced_sigmoid(x, total):
    """sigmoid(x - tau), with the tau that makes its sum `total`."""
    share = total / x.size
    offset = jnp.log(share) - jnp.log1p(-share)  # were all x equal, tau would be x - offset

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        above = jax.nn.sigmoid(x - middle).sum() > total
        return jnp.where(above, middle, low), jnp.where(above, high, middle)

    low, high = jax.lax.fori_loop(0, BISECTIONS, halve, (x.min() - offset, x.max() - offset))
    return jax.nn.sigmoid(x - (low + high) / 2)


@_balanced_sigmoid.defjvp
def _(primals, tangents):
    chosen = _balanced_sigmoid(*primals)
    slope = chosen * (1 - chosen)
    room = slope.sum()
    weight = slope / jnp.where(room > 0, room, 1.0)  # a hard choice does not move
    x, total = tangents
    return chosen, slope * (x - (weight * x).sum()) + weight * total
