"""Sobol: how much of the score's variance each cell of the image takes part in."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from saljax.core import checks
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.methods.perturbation.masking import score_masked
from saljax.ops import draws, images, perturb


def sobol(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    grid: int = 8,
    num_designs: int = 32,
    baseline: Baseline = 0.0,
    chunk_size: int | None = None,
) -> Saliency:
    """Total Sobol index of each cell of a grid of random masks.

    S_i = sum_r (f(A_r) - f(C_ir))^2 / (2 n Var f(A)),    C_i = A with column i from B

    A and B are n masks each in [0, 1]^cells, from one Sobol sequence; f is the score of the image
    under the enlarged mask. A cell that lowers the score counts like one that raises it, and cells
    that act together count more than once. A map costs n (grid^rank + 1) passes, 2080 by default.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities.
        image: (*spatial, C), RGB in [0, 1].
        target: class index (), or (T,) for several classes from the same passes.
        grid: cells a side, as many on every axis.
        num_designs: n, a power of two; 64 in the authors' code, 32 in xplique.
        baseline: what is shown where a mask is 0.
        chunk_size: perturbed images at a time; memory only, never the result.
            None: see `saljax.core.chunks.fitting`.

    Returns:
        (*spatial) map >= 0, or (T, *spatial); shares of the variance, 0 where the score is the same
        under all masks.

    Raises:
        ValueError: a count is not above 0, `num_designs` is no power of two, or the grid has more
            than 10600 cells, beyond the Sobol sequence.

    Source: Fel, Cadene, Chalvidal, Cord, Vigouroux, Serre, "Look at the Variance! Efficient
    Black-box Explanations with Sobol-based Sensitivity Analysis", NeurIPS 2021, with Jansen's
    estimator. Masks and map are enlarged linearly, where the authors take cubic for the map; B is
    not scored, since Jansen's estimator does not ask it.
    """
    checks.count(grid=grid, num_designs=num_designs, chunk_size=chunk_size)
    if num_designs & (num_designs - 1):
        raise ValueError(f"`num_designs` must be a power of two; got {num_designs}.")
    space = images.space(image)
    cells = grid ** len(space)
    a, b = (jnp.asarray(half) for half in np.split(draws.sobol(2 * cells, num_designs), 2, axis=1))

    def mask_of(place):
        row, column = place
        own = jnp.where(jnp.arange(cells) == column, b[row], a[row])
        return images.resize(own.reshape((grid,) * len(space)), space)

    # A itself is column -1.
    rows, columns = jnp.arange(num_designs), jnp.arange(-1, cells)
    places = (jnp.tile(rows, cells + 1), jnp.repeat(columns, num_designs))
    unseen = perturb.baseline_image(image, baseline)
    answers = score_masked(score_fn, image, target, mask_of, places, unseen, chunk_size)
    answers = answers.reshape(cells + 1, num_designs, *answers.shape[1:])
    clean, changed = answers[0], answers[1:]
    variance = jnp.square(clean - clean.mean(axis=0, keepdims=True)).sum(axis=0) / (
        num_designs - 1 or 1
    )
    parts = jnp.square(clean[None] - changed).sum(axis=1) / (2 * num_designs)
    index = parts / jnp.where(variance == 0, 1, variance)[None]  # 0 where nothing changes
    return enlarged(index, grid, space)


def enlarged(index: Float[Array, "cells *classes"], grid: int, space: tuple[int, ...]) -> Saliency:
    """One value a cell as a map, of one class or of several."""
    shape = (grid,) * len(space)
    if index.ndim == 1:
        return images.resize(index.reshape(shape), space).astype(jnp.float32)
    resized = jax.vmap(lambda one: images.resize(one.reshape(shape), space), in_axes=1)
    return resized(index).astype(jnp.float32)
