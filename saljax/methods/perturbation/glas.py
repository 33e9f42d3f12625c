"""GLAS: Gaussian light and shadow, for signals, pictures and volumes.

Of "Salient explanation for fine-grained classification" (submitted to ICLR 2020).
"""

import math
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, chunks, scores
from saljax.core.ask import ask
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.methods.perturbation.glas_search import score_some
from saljax.ops import gaussians, images, perturb

Parts = Literal["fusion", "light", "shadow"]
Unit = Literal["cell", "pixel"]


def glas(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    grid: int = 15,
    sigma_light: float = 5.0,
    sigma_shadow: float = 3.0,
    sigma_spatial: float = 6.0,
    parts: Parts = "fusion",
    unit: Unit = "cell",
    distance: Literal["squared", "euclidean"] = "squared",
    baseline: Baseline = 0.0,
    floor: float = 1e-5,
    points: Float[Array, "points rank"] | None = None,
    num_passes: int | None = None,
    chunk_size: int | None = None,
) -> Saliency:
    """Light and darken the image around each search point; fuse what the classifier says.

    f_l(mu) = P(y | I * G(mu, sigma_light))
    f_s(mu) = |P(y | I) - P(y | I * (1 - G(mu, sigma_shadow)))| + floor
    S(x)    = 1/|Omega| sum_mu exp(-|x - mu|^2 / sigma_spatial^2) f_l(mu) f_s(mu)

    G is a Gaussian of peak 1 (`saljax.gaussian_mask`). Small sigmas pinpoint the part that decides,
    large ones the object. A map costs grid^rank passes for light and grid^rank + 1 for shadow, or
    `num_passes`.

        saljax.glas(score_fn, image, target, sigma_light=3.0)

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities in the paper.
        image: I, (*spatial, C), RGB in [0, 1].
        target: y, class index (), or (T,) for several classes from the same passes.
        grid: k, search points a side, at the centers of the cells of a k x k grid.
        sigma_light: standard deviation of the light, in units of `unit`.
        sigma_shadow: standard deviation of the shadow, in units of `unit`.
        sigma_spatial: width of a point's bump in the map, in units of `unit`.
        parts: "fusion", "light" (f_s left out of S) or "shadow" (f_l left out of S).
        unit: "cell" is 1/15 of the image's side whatever `grid` is (for unequal sides, of their
            geometric mean: 14.9 pixels for 224 x 224); "pixel" is one pixel.
        distance: "squared", or "euclidean" for exp(-|x - mu| / sigma_spatial^2), in `unit`s.
        baseline: what darkness shows, in [0, 1]: 0 is black; or a color, an image, a function of
            the image.
        floor: lambda, keeps a point that only its light speaks for.
        points: Omega, (P, rank) in array indices, instead of the grid.
        num_passes: passes to spend at most; None, or as many as the grid asks for, is the whole
            grid. With fewer, f_l and f_s are asked at points a few cells apart, then, away from
            these, where f_l f_s is largest so far, and are the mean of their neighbors elsewhere
            (`saljax.methods.perturbation.glas_search`, our choice): half of the passes kept a
            correlation of 0.999 (experiments/results/glas_fewer_passes.md). Several classes share
            the passes, so that the map of one depends a little on the others.
        chunk_size: perturbed images scored at a time; memory only, never the result.
            None: see `saljax.core.chunks.fitting`.

    Returns:
        (*spatial) map >= 0, or (T, *spatial), in the scale of S; larger is more important.

    Raises:
        ValueError: a sigma, `grid`, `num_passes` or `chunk_size` that is not above 0, an unknown
            choice of `parts`, `unit` or `distance`, points of another rank than the image, or
            `num_passes` with points or too few for the corners of the grid.

    Source: the GLAS paper, equations 1 to 3, and its ablation for `parts`. Deviations, all because
    the paper contradicts itself: `floor` is 1e-5 where 10^5 is printed (fusion would equal light);
    the shadow has a sigma of its own where equation 2 prints sigma_light; D in equation 3 is the
    squared distance, and the unit of sigma, which the paper leaves out, is the cell. Measured in
    the paper's pointing game on ILSVRC photographs: in cells ResNet-50 gives light, shadow and
    fusion 0.88, 0.87 and 0.93 (100 photographs, standard error 0.03) where the GLAS paper reports
    0.889, 0.877 and 0.912; in pixels light falls to 0.62 (ResNet-18, 60 photographs, standard error
    0.06; 0.82 in cells), below always pointing at the center, 0.88
    (experiments/results/s1_table2_pointing.md).
    """
    checks.one_of(("squared", "euclidean"), distance=distance)
    checks.positive(sigma_spatial=sigma_spatial)
    checks.count(num_passes=num_passes)
    if points is not None and num_passes is not None:
        raise ValueError("`num_passes` chooses among the points of the grid; give no `points`.")
    spatial = images.space(image)
    pixels = pixels_per_unit(unit, spatial)
    centers = search_points(spatial, grid, points)
    light, shadow = responses(
        score_fn, image, target, centers, sigma_light * pixels, sigma_shadow * pixels,
        parts, baseline, floor, chunk_size, num_passes,
    )  # fmt: skip

    def fuse(values: Float[Array, " points"]) -> Float[Array, "*spatial"]:
        if distance == "euclidean":
            return gaussians.spread_euclidean(values, centers, spatial, sigma_spatial**2 * pixels)
        if points is not None:
            return gaussians.spread_points(values, points, spatial, sigma_spatial * pixels)
        on_grid = values.reshape((grid,) * len(spatial))
        return gaussians.spread_grid(on_grid, spatial, sigma_spatial * pixels)

    values = light * shadow / len(centers)
    return fuse(values) if values.ndim == 1 else jax.vmap(fuse, in_axes=1)(values)


def responses(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    centers: Float[Array, "points rank"],
    sigma_light: float,
    sigma_shadow: float,
    parts: Parts,
    baseline: Baseline,
    floor: float,
    chunk_size: int | None,
    num_passes: int | None = None,
) -> tuple[Float[Array, "points *classes_asked"], Float[Array, "points *classes_asked"]]:
    """What the classifier says of the light and the shadow at each center; see `glas`.

    Lights, shadows and the clean image, which is a light of infinite sigma, form one list, so the
    classifier stands in the compiled program once.

    Args:
        score_fn: see `glas`.
        image: see `glas`.
        target: see `glas`.
        centers: search points, (P, rank) in array indices.
        sigma_light: in pixels.
        sigma_shadow: in pixels.
        parts: see `glas`; a part that is not asked for costs nothing and is 1 everywhere.
        baseline: see `glas`.
        floor: see `glas`.
        chunk_size: see `glas`.
        num_passes: see `glas`; the centers are then those of a grid.

    Returns:
        f_l and f_s, each (P,), or (P, T) for T targets.
    """
    checks.one_of(get_args(Parts), parts=parts)
    checks.count(chunk_size=chunk_size)
    checks.positive(sigma_light=sigma_light, sigma_shadow=sigma_shadow)
    darkness = perturb.baseline_image(image, baseline)
    number = len(centers)
    lights = (centers, jnp.full(number, sigma_light, jnp.float32), jnp.zeros(number, bool))
    shadows = (centers, jnp.full(number, sigma_shadow, jnp.float32), jnp.ones(number, bool))
    clean = (centers[:1], jnp.full(1, jnp.inf, jnp.float32), jnp.zeros(1, bool))

    def perturbed(center, sigma, is_shadow):
        light = gaussians.gaussian_mask(image.shape[:-1], center, sigma)
        return perturb.blend(image, jnp.where(is_shadow, 1 - light, light), darkness)

    def score(perturbations):
        return scores.of_class(ask(score_fn, jax.vmap(perturbed)(*perturbations)), target)

    asked = {"light": [lights], "shadow": [shadows, clean], "fusion": [lights, shadows, clean]}
    together = jax.tree.map(lambda *x: jnp.concatenate(x), *asked[parts])
    every = len(together[0])

    def factors(answers):
        light, shadow = answers[:number], jnp.abs(answers[-1:] - answers[-1 - number : -1]) + floor
        one = jnp.ones_like(light)
        return (one if parts == "shadow" else light), (one if parts == "light" else shadow)

    def score_chunks(perturbations):
        return chunks.map_over(score, perturbations, chunk_size)

    if num_passes is None or num_passes >= every:
        return factors(score_chunks(together))

    def values_of(answers):
        light, shadow = factors(answers)
        return light * shadow

    rank = image.ndim - 1
    grid = round(number ** (1 / rank))
    return factors(score_some(score_chunks, together, values_of, grid, rank, num_passes))


def pixels_per_unit(unit: Unit, spatial: tuple[int, ...]) -> float:
    """Length in pixels of the unit of sigma; see `glas`."""
    checks.one_of(get_args(Unit), unit=unit)
    return math.prod(spatial) ** (1 / len(spatial)) / 15 if unit == "cell" else 1.0


def search_points(
    spatial: tuple[int, ...], grid: int, points: Float[Array, "points rank"] | None
) -> Float[Array, "points rank"]:
    """The centers of the grid, or the points given, checked; see `glas`."""
    checks.count(grid=grid)
    if points is None:
        return gaussians.grid_centers(spatial, grid)
    if points.ndim != 2 or points.shape[1] != len(spatial):
        raise ValueError(
            f"`points` must be (P, {len(spatial)}), one coordinate an axis of the image in array "
            f"indices; got shape {points.shape}."
        )
    return points
