"""XRAI: integrated gradients, region by region."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from saljax.core import checks
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.methods.gradients.integrated_gradients import integrated_gradients
from saljax.ops import images, masks

Segments = (
    Bool[Array, "segments ..."]
    | Bool[np.ndarray, "segments ..."]
    | Int[Array, "..."]
    | Int[np.ndarray, "..."]
)


def xrai(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    segments: Segments | None = None,
    grids: Sequence[int] = (4, 7, 14),
    min_pixels: int = 50,
    num_steps: int = 100,
    chunk_size: int = 32,
) -> Saliency:
    """Add the segment with the most attribution a pixel, and again, until none is left.

    A = max over channels of the mean of integrated gradients from black and from white, these being
    the least and the largest value of the image. Then, over and over, of all segments the one with
    the largest mean of A over those of its pixels that none had before is taken, and this mean is
    what they get; segments with fewer than `min_pixels` such pixels are out. What no segment took
    gets its mean of A. Of equals the first is taken.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        segments: masks (S, *spatial) of truth values, which may overlap, or labels, (*spatial) or
            several of them (L, *spatial), such as those of `saljax.data.superpixels`; in a jit only
            masks. The authors take Felzenszwalb's at six scales, each mask dilated by 5 pixels.
        grids: cells a side of the regular grids that there are without `segments`; our choice.
        min_pixels: at most the pixels of the smallest segment that is wanted. Where segments are
            smaller than this, as they may be in small images, all is one mean.
        num_steps: of the integrated gradients, for each of the two baselines.
        chunk_size: points on the way at a time; memory only, never the result.

    Returns:
        (*spatial) map, in units of the score a pixel; it may be negative.

    Raises:
        ValueError: segments that are not of the image's shape, labels in a jit, `min_pixels`,
            `num_steps` or `chunk_size` not above 0, or several targets.

    Source: Kapishnikov, Bolukbasi, Viegas, Terry, ICCV 2019, with the settings of the authors'
    code.
    """
    checks.count(min_pixels=min_pixels)
    spatial = images.space(image)
    if segments is None:
        checks.several(grids=grids)
        candidates = jnp.concatenate([_cells(spatial, grid) for grid in grids])
    else:
        candidates = _as_masks(segments, spatial)

    def from_one(baseline):
        return integrated_gradients(
            score_fn, image, target, baseline=baseline, num_steps=num_steps, reduce=None,
            chunk_size=chunk_size,
        )  # fmt: skip

    ends = jnp.stack([jnp.min(image), jnp.max(image)])
    attribution = jax.vmap(from_one)(ends).mean(axis=0).max(axis=-1).astype(jnp.float32)
    found = by_gain(attribution.ravel(), candidates.reshape(len(candidates), -1), min_pixels)
    return found.reshape(spatial)


def by_gain(
    attribution: Float[Array, " pixels"], candidates: Bool[Array, "segments pixels"], least: int
) -> Float[Array, " pixels"]:
    """What each pixel gets when segments are taken by their gain, `least` new pixels or more."""

    def take(_, state):
        found, free, out = state
        shown = jnp.where(free, attribution, 0)
        counts = jnp.matmul(weights, free.astype(jnp.float32), precision="highest")
        gains = jnp.matmul(weights, shown, precision="highest") / jnp.maximum(counts, 1)
        out = out | (counts < least)
        best = jnp.where(out, -jnp.inf, gains).argmax()
        new = free & candidates[best] & ~out[best]
        return jnp.where(new, gains[best], found), free & ~new, out.at[best].set(True)

    weights = candidates.astype(jnp.float32)
    start = (jnp.zeros_like(attribution), jnp.ones(attribution.shape, bool))
    nothing = jnp.zeros(len(candidates), bool)
    found, free, _ = jax.lax.fori_loop(0, len(candidates), take, (*start, nothing))
    rest = jnp.where(free, attribution, 0).sum() / jnp.maximum(free.astype(jnp.float32).sum(), 1)
    return jnp.where(free, rest, found)


def _cells(spatial, grid):
    labels = masks.grid_segments(spatial, grid)
    return jnp.stack([labels == k for k in range(grid ** len(spatial))])


def _as_masks(segments, spatial):
    """(S, *spatial), truth values."""
    if segments.shape[-len(spatial) :] != spatial or segments.ndim > len(spatial) + 1:
        raise ValueError(
            f"`segments` must be masks (S, {str(spatial)[1:]} or labels {spatial}, one or several; "
            f"got {segments.shape}."
        )
    if segments.dtype == bool:
        return jnp.asarray(segments).reshape(-1, *spatial)
    if isinstance(segments, Tracer):
        raise ValueError(
            "`segments` are labels that are not known until the program runs; in jit, vmap or "
            "explain give masks, (S, *spatial) of truth values."
        )
    levels = np.asarray(segments).reshape(-1, *spatial)
    return jnp.asarray(np.concatenate([[level == k for k in np.unique(level)] for level in levels]))
