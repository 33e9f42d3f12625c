"""Variable occlusion: discs of the places and sizes that objects have."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from saljax.core import checks, chunks, keys
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.methods.perturbation.masking import drop_map, score_drops
from saljax.ops import images, masks, perturb

LOG_AREA = 7.5060, 1.2848
"""Mean and standard deviation of the logarithm of an object's area, in pixels of 224 x 224."""
VERTICAL = 116.0759, 47.5054
"""Mean and standard deviation of an object's vertical center, in pixels of 224 x 224."""
SIDE = 224


class VariableOcclusionDetails(NamedTuple):
    """A map of variable occlusion and the paper's own answer, a point.

    Attributes:
        saliency: (*spatial), or (T, *spatial).
        point: (rank,), or (T, rank), in array indices: the center of the smallest of the tenth of
            the discs that lower the score most. NaN for a class that does not exist.
        radius: of that disc in pixels, () or (T,).
    """

    saliency: Saliency
    point: Float[Array, "*classes_asked rank"]
    radius: Float[Array, "*classes_asked"]


def variable_occlusion(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    num_masks: int = 784,
    softness: float = 10.0,
    blur: float = 10.0,
    chunk_size: int | None = None,
    details: bool = False,
) -> Saliency | VariableOcclusionDetails:
    """Blur the image inside soft discs of random place and size; find a small one that matters.

    area ~ LogNormal(7.5060, 1.2848),    radius = sqrt(area / pi)
    y ~ Normal(116.0759, 47.5054),    x ~ Uniform(0, 224)

    The paper answers with a point (`details`): of the tenth of the discs that lower the score most,
    the center of the smallest. The map says the same of every pixel: each disc shares what it
    lowers the score by among its a_i pixels, and a pixel takes the mean over the discs on it,

    S(x) = sum_i m_i(x) (f(I) - f(I (1 - m_i) + blur(I) m_i)) / a_i / sum_i m_i(x)

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper.
        image: (*spatial, C), RGB in [0, 1].
        target: class index (), or (T,) for several classes from the same passes.
        key: one key; disc i has its own, folded from i.
        num_masks: discs.
        softness: standard deviation of the blur of the disc's edge, in pixels of a 224 x 224 image.
        blur: standard deviation of the blur that hides, in pixels of a 224 x 224 image.
        chunk_size: occluded images scored at a time; memory only, never the result.
            None: see `saljax.core.chunks.fitting`.
        details: return `VariableOcclusionDetails`, with the point.

    Returns:
        (*spatial) map, or (T, *spatial), in units of the score a pixel: positive where hiding
        lowers it, 0 where no disc reaches.

    Raises:
        ValueError: `num_masks`, `blur` or `chunk_size` is not above 0, or `softness` is negative.

    Source: Fong and Vedaldi's supplement, section 4.1; its distributions were fitted to COCO's
    objects in 224 x 224 images. In an image of other sides, places scale with each side and all
    lengths with the geometric mean of the sides. Our choice, since Fong and Vedaldi's supplement
    does not say: the map, y clipped to the image, and that along the axes of signals and volumes
    places are uniform. The formula of the radius is lost in Fong and Vedaldi's supplement's print;
    an area's radius is what it must be.
    """
    checks.count(num_masks=num_masks)
    checks.positive(blur=blur)
    checks.not_negative(softness=softness)
    spatial = images.space(image)
    scale = _scale(spatial)

    def disc_at(disc):
        center, radius = disc
        return masks.disc(spatial, center, radius, softness * scale)

    def pixels_of(disc):
        return jnp.maximum(masks.disc(spatial, *disc).sum(), 1.0)

    of_discs = jax.vmap(jax.random.fold_in, (None, 0))(keys.own(key), jnp.arange(num_masks))
    centers, radii = discs = jax.vmap(lambda k: draw_disc(k, spatial))(of_discs)
    nothing = centers[:1], jnp.zeros_like(radii[:1])
    unseen = perturb.blurred(blur * scale)(image)
    drops = score_drops(score_fn, image, target, disc_at, discs, nothing, unseen, chunk_size)
    areas = chunks.map_over(lambda some: jax.vmap(pixels_of)(some), discs, chunk_size)
    areas = areas.reshape(-1, *(1,) * (drops.ndim - 1))
    saliency = drop_map(drops / areas, disc_at, discs, "mean", chunk_size)
    if not details:
        return saliency

    def smallest_of_the_strongest(drops):
        strongest = jax.lax.top_k(drops, max(num_masks // 10, 1))[1]
        found = strongest[jnp.argmin(radii[strongest])]
        exists = ~jnp.isnan(drops[found])
        return jnp.where(exists, centers[found], jnp.nan), jnp.where(exists, radii[found], jnp.nan)

    for_classes = jax.vmap(smallest_of_the_strongest, in_axes=1)
    found = smallest_of_the_strongest(drops) if drops.ndim == 1 else for_classes(drops)
    return VariableOcclusionDetails(saliency, *found)


def draw_disc(
    key: Key[Array, ""], spatial: tuple[int, ...]
) -> tuple[Float[Array, " rank"], Float[Array, ""]]:
    """A disc as `variable_occlusion` draws it.

    Args:
        key: of this disc.
        spatial: shape of the image.

    Returns:
        Center (rank,) in array indices, and radius () in pixels.
    """
    normal_key, place_key = jax.random.split(key)
    of_area, of_vertical = jax.random.normal(normal_key, (2,), jnp.float32)
    area = jnp.exp(LOG_AREA[0] + LOG_AREA[1] * of_area)
    sides = jnp.asarray(spatial, jnp.float32)
    place = sides * jax.random.uniform(place_key, sides.shape, jnp.float32)
    if len(spatial) == 2:
        vertical = (VERTICAL[0] + VERTICAL[1] * of_vertical) / SIDE
        place = place.at[0].set(jnp.clip(vertical, 0, 1) * sides[0])
    return place - 0.5, _scale(spatial) * jnp.sqrt(area / jnp.pi)


def _scale(spatial):
    """Pixels of this image in a pixel of a 224 x 224 image."""
    return math.prod(spatial) ** (1 / len(spatial)) / SIDE
