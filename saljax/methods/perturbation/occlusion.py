"""Occlusion: what the classifier loses when a window or a disc of the image is hidden.

S2 is the supplement of "Interpretable Explanations of Black Boxes by Meaningful Perturbation"
(Fong, Vedaldi, ICCV 2017).
"""

from collections.abc import Sequence
from numbers import Integral
from typing import get_args

import jax.numpy as jnp

from saljax.core import checks
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.methods.perturbation.masking import Aggregate, drop_map, score_drops
from saljax.ops import masks, perturb


def occlusion(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    window: int | tuple[int, ...] = 35,
    stride: int | tuple[int, ...] = 8,
    baseline: Baseline | None = None,
    aggregate: Aggregate = "mean",
    chunk_size: int = 32,
) -> Saliency:
    """Slide a window of one color over the image; what the score loses is shared by its pixels.

    S(x) = sum_i m_i(x) (f(I) - f(I without m_i)) / sum_i m_i(x)

    m_i is 1 inside window i. Windows start at 0, stride, 2 stride ... on every axis, as long as
    they start inside the image, and are cut at its border; a map of a 224 x 224 image costs
    28 x 28 + 1 passes.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper.
        image: I, (*spatial, C), RGB in [0, 1].
        target: class index (), or (T,) for several classes from the same passes.
        window: side in pixels, or one number an axis.
        stride: pixels from one window to the next, or one number an axis.
        baseline: what the window shows, in [0, 1]: a number, a color, an image or a function of
            the image; None is the image's mean color.
        aggregate: "mean" over the windows that cover a pixel, or their "sum", where pixels that
            fewer windows cover count less.
        chunk_size: occluded images scored at a time; memory only, never the result.

    Returns:
        (*spatial) map, or (T, *spatial), in units of the score: positive where hiding lowers it.

    Raises:
        ValueError: a window or stride below 1 or larger than the image, a stride larger than the
            window (pixels between would never be hidden), another number of them than axes,
            `chunk_size` not above 0, or an unknown `aggregate`.

    Source: Zeiler, Fergus, ECCV 2014; size, stride, mean and logits from S2, section 3, with the
    opposite sign, so that important is positive. They are pixels of a 224 x 224 image: for one of
    96 x 96 a window of 15 and a stride of 4 are about the same part of it. S2's color is the mean
    of the classifier's training images, `baseline=jnp.asarray([0.485, 0.456, 0.406])` for ImageNet;
    the image's own mean, the default, needs no knowledge of the classifier. captum takes the mean
    too, but no window after the first that reaches the border; xplique takes the sum.
    """
    checks.one_of(get_args(Aggregate), aggregate=aggregate)
    spatial = image.shape[:-1]
    size = _sides(spatial, window=window)
    steps = _sides(spatial, stride=stride)
    if any(step > side for step, side in zip(steps, size, strict=True)):
        raise ValueError(
            f"`stride` must be at most `window`, {size}, or some pixels are never hidden; "
            f"got {steps}."
        )

    def window_at(corner):
        return masks.window(spatial, corner, size)

    corners, outside = masks.corners(spatial, steps), jnp.asarray(spatial)[None]
    unseen = perturb.baseline_image(image, perturb.mean_color if baseline is None else baseline)
    drops = score_drops(score_fn, image, target, window_at, corners, outside, unseen, chunk_size)
    return drop_map(drops, window_at, corners, aggregate, chunk_size)


def blur_occlusion(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    diameter: float = 35.0,
    stride: int | tuple[int, ...] = 8,
    softness: float = 10.0,
    blur: float = 10.0,
    aggregate: Aggregate = "mean",
    chunk_size: int = 32,
) -> Saliency:
    """Slide a soft disc over the image that shows it blurred; share what the score loses.

    S(x) = sum_i m_i(x) (f(I) - f(I (1 - m_i) + blur(I) m_i)) / sum_i m_i(x)

    m_i is a disc softened by a Gaussian blur. Discs stand where the windows of `occlusion` of the
    same size would, and are cut at the border like them.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper.
        image: I, (*spatial, C), RGB in [0, 1].
        target: class index (), or (T,) for several classes from the same passes.
        diameter: of the disc before it is softened, in pixels.
        stride: pixels from one disc to the next, or one number an axis.
        softness: standard deviation in pixels of the blur of the disc's edge; 0 leaves it hard.
        blur: standard deviation in pixels of the blur that hides.
        aggregate: see `occlusion`; pixels that no disc reaches are 0.
        chunk_size: see `occlusion`.

    Returns:
        (*spatial) map, or (T, *spatial), in units of the score: positive where hiding lowers it.

    Raises:
        ValueError: `diameter`, `blur` or `chunk_size` is not above 0, `softness` is negative, a
            stride below 1 or larger than the image, another number of strides than axes, or an
            unknown `aggregate`.

    Source: S2, section 4.1. Its "stride of 28 pixels" is read as 28 positions, stride 8, as in its
    section 3. All lengths are pixels of a 224 x 224 image. That the disc fills the window's square
    is our reading.
    """
    checks.positive(diameter=diameter, blur=blur)
    checks.not_negative(softness=softness)
    checks.one_of(get_args(Aggregate), aggregate=aggregate)
    spatial = image.shape[:-1]

    def disc_at(place):
        center, radius = place
        return masks.disc(spatial, center, radius, softness)

    corners = masks.corners(spatial, _sides(spatial, stride=stride)).astype(jnp.float32)
    centers = corners + (diameter - 1) / 2
    discs = centers, jnp.full(len(centers), diameter / 2, jnp.float32)
    nothing = centers[:1], jnp.zeros(1, jnp.float32)
    unseen = perturb.blurred(blur)(image)
    drops = score_drops(score_fn, image, target, disc_at, discs, nothing, unseen, chunk_size)
    return drop_map(drops, disc_at, discs, aggregate, chunk_size)


def _sides(spatial: tuple[int, ...], **length: int | tuple[int, ...]) -> tuple[int, ...]:
    """One length an axis, checked."""
    ((name, given),) = length.items()
    sides = tuple(given) if isinstance(given, Sequence) else (given,) * len(spatial)

    def fits(side, n):
        return isinstance(side, Integral) and 1 <= int(side) <= n

    if len(sides) != len(spatial) or not all(map(fits, sides, spatial)):
        raise ValueError(
            f"`{name}` must be a whole number of pixels, or one an axis, from 1 to the image's "
            f"size, {spatial}; got {given!r}."
        )
    return sides
