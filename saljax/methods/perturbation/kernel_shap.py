"""KernelSHAP on segments of the image."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from saljax.core import checks, keys
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.methods.perturbation.masking import score_masked
from saljax.methods.perturbation.segments import colored, labeled
from saljax.ops import perturb


def kernel_shap(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    num_samples: int = 1000,
    grid: int = 8,
    segments: Int[Array, "*spatial"] | Int[np.ndarray, "*spatial"] | None = None,
    num_segments: int | None = None,
    baseline: Baseline | None = None,
    chunk_size: int | None = None,
) -> Saliency:
    """Shapley values of the segments of an image, by weighted least squares.

    minimize over phi:  sum_z pi(z) (v(z) - v(0) - z . phi)^2    with sum phi = v(1) - v(0),
    pi(z) = (M - 1) / (C(M, k) k (M - k)),    k = sum z

    v(z) is the score of the image with the segments of z in {0, 1}^M shown. Where all 2^M - 2
    proper subsets are no more than `num_samples`, each is taken once, and the values are exact;
    else sizes k are drawn with probability as 1 / (k (M - k)) and subsets of a size alike, each
    with its complement, and count the same. A pixel's saliency is its segment's value.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities.
        image: (*spatial, C), RGB in [0, 1].
        target: class index (), or (T,) for several classes from the same passes.
        key: of the draws.
        num_samples: subsets scored, beside none and all.
        grid: see `lime`.
        segments: see `lime`.
        num_segments: see `lime`.
        baseline: what segments that are off show; None is each segment's own mean color, as in
            `lime`; the library SHAP takes a fixed one.
        chunk_size: subsets scored at a time; memory only, never the result.
            None: see `saljax.core.chunks.fitting`.

    Returns:
        (*spatial) map, or (T, *spatial), constant in each segment, in units of the score; the
        values of the segments sum to v(1) - v(0).

    Raises:
        ValueError: see `lime`.

    Source: Lundberg & Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017,
    theorem 2. The constraint is exact, the last segment eliminated, as their library does; none of
    its selection of ten features. Where the subsets are fewer than the segments, the smallest phi.
    """
    checks.count(num_samples=num_samples, grid=grid, chunk_size=chunk_size)
    labels, number = labeled(image, grid, segments, num_segments)
    subsets, weights = drawn(keys.own(key), number, num_samples)
    ends = jnp.stack([jnp.zeros(number, jnp.float32), jnp.ones(number, jnp.float32)])
    unseen = (
        colored(image, labels, number)
        if baseline is None
        else perturb.baseline_image(image, baseline)
    )
    every = jnp.concatenate([ends, subsets])
    answers = score_masked(score_fn, image, target, lambda z: z[labels], every, unseen, chunk_size)
    columns = answers.reshape(len(every), -1)
    nothing, all_of_it, values = columns[0], columns[1], columns[2:]
    phi = shapley(subsets, weights, values - nothing[None], all_of_it - nothing)
    phi = phi.T.reshape(*answers.shape[1:], number)
    return phi[..., labels].astype(jnp.float32)


def drawn(key, number: int, num_samples: int) -> tuple[Float[Array, "n m"], Float[Array, " n"]]:
    """Subsets and their weights: all of them, or pairs of complements."""
    if number < 24 and 2**number - 2 <= num_samples:
        every = np.asarray(list(itertools.product((0.0, 1.0), repeat=number))[1:-1], np.float32)
        every = every.reshape(-1, number)
        sizes = every.sum(axis=1).astype(int).tolist()
        ways = [math.comb(number, k) * k * (number - k) for k in sizes]
        return jnp.asarray(every), jnp.asarray([(number - 1) / n for n in ways], jnp.float32)
    sizes = np.arange(1, number, dtype=np.float32)
    logits = jnp.asarray(-np.log(sizes * (number - sizes)))

    def subset(index):
        of_size, of_order = jax.random.split(jax.random.fold_in(key, index))
        size = 1 + jax.random.categorical(of_size, logits)
        order = jax.random.permutation(of_order, number)
        return (order < size).astype(jnp.float32)

    half = jax.vmap(subset)(jnp.arange(-(-num_samples // 2)))
    both = jnp.stack([half, 1 - half], axis=1).reshape(-1, number)[:num_samples]
    return both, jnp.ones(num_samples, jnp.float32)


def shapley(
    subsets: Float[Array, "n m"],
    weights: Float[Array, " n"],
    values: Float[Array, "n t"],
    total: Float[Array, " t"],
) -> Float[Array, "m t"]:
    """Solve for phi (M, T): the last is what the others leave of the total."""
    if subsets.shape[1] == 1:
        return total[None]
    last = subsets[:, -1:]
    x, y = subsets[:, :-1] - last, values - last * total[None]
    weighted = (x * weights[:, None]).T
    gram = jnp.matmul(weighted, x, precision="highest")
    moments = jnp.matmul(weighted, y, precision="highest")
    # Not `pinv` of x itself: the gram matrix is M x M, whatever the number of subsets.
    first = jnp.matmul(jnp.linalg.pinv(gram, hermitian=True), moments, precision="highest")
    return jnp.concatenate([first, (total - first.sum(axis=0))[None]])
