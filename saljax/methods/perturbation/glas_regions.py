"""3D-GLAS: GLAS over the regions of an atlas (the GLAS paper, appendix A)."""

import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.methods.perturbation.glas import Parts, Unit, pixels_per_unit, responses
from saljax.ops import images, maps


def glas_regions(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    labels: Int[Array, "*spatial"],
    num_regions: int,
    sigma_light: float = 15.0,
    sigma_shadow: float = 10.0,
    unit: Unit = "pixel",
    parts: Parts = "fusion",
    baseline: Baseline = 0.0,
    floor: float = 1e-5,
    chunk_size: int | None = None,
) -> Saliency:
    """3D-GLAS: light and darken an image around the centroid of each region of an atlas.

    S(x) = f_l(mu_r) f_s(mu_r) for x in region r, with f_l and f_s as in `glas`; 0 outside.

    Regions are ranked by `saljax.ops.maps.region_means(S, labels, num_regions)`, for several
    subjects by the mean of their maps.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities in the paper.
        image: (*spatial, C), a volume in the paper; any rank works.
        target: class index (), or (T,) for several classes from the same passes.
        labels: (*spatial), the atlas: 0 is background, regions are 1..num_regions, anything else
            counts as background where it cannot be refused.
        num_regions: number of regions.
        sigma_light: standard deviation of the light, in units of `unit`.
        sigma_shadow: standard deviation of the shadow, in units of `unit`.
        unit: "pixel" is one voxel, "cell" as in `glas`.
        parts: see `glas`.
        baseline: see `glas`.
        floor: see `glas`.
        chunk_size: see `glas`.

    Returns:
        (*spatial) map >= 0, constant inside each region, or (T, *spatial).

    Raises:
        ValueError: `labels` have another shape than the image or, where their values are known,
            lie outside 0..num_regions; else as `glas`.

    Source: the GLAS paper, appendix A: sigma = 10 and sigma = 15. Which of them is the light's, and
    that they are voxels, is our reading.
    """
    if labels.shape != images.space(image):
        raise ValueError(
            f"`labels` must have the image's spatial shape, {image.shape[:-1]}; got {labels.shape}."
        )
    if not isinstance(labels, jax.core.Tracer):
        known = np.asarray(labels)
        low, high = known.min(), known.max()
        if low < 0 or high > num_regions:
            raise ValueError(
                f"`labels` must be 0 for background and 1..{num_regions} (`num_regions`) for "
                f"regions; got {low}..{high}. Number the atlas anew, or raise `num_regions`."
            )
    labels = jnp.where((labels >= 1) & (labels <= num_regions), labels, 0)
    centers = maps.region_centroids(labels, num_regions)
    pixels = pixels_per_unit(unit, image.shape[:-1])
    light, shadow = responses(
        score_fn, image, target, centers, sigma_light * pixels, sigma_shadow * pixels,
        parts, baseline, floor, chunk_size,
    )  # fmt: skip
    values = light * shadow
    with_background = jnp.concatenate([jnp.zeros_like(values[:1]), values])
    return (
        jnp.moveaxis(with_background[labels], -1, 0)
        if values.ndim == 2
        else with_background[labels]
    )
