"""Occlusion: what the classifier loses when a window or a disc of the image is hidden.

With settings of the supplement of "Interpretable Explanations of Black Boxes by Meaningful
Perturbation" (Fong and Vedaldi, ICCV 2017).
"""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal, get_args

import jax.numpy as jnp

from saljax.core import checks
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.methods.perturbation.masking import Aggregate, drop_map, score_drops
from saljax.ops import images, masks, perturb, sizes

Windows = Literal["centered", "inside"]


def defaults_for(spatial: Sequence[int]) -> dict[str, Any]:
    """What stands for None in `occlusion` of an image of this shape, one number an axis."""
    return {"window": sizes.whole(35, spatial), "stride": sizes.whole(8, spatial)}


def occlusion(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    window: int | tuple[int, ...] | None = None,
    stride: int | tuple[int, ...] | None = None,
    windows: Windows = "centered",
    baseline: Baseline | None = None,
    aggregate: Aggregate = "mean",
    chunk_size: int | None = None,
) -> Saliency:
    """Slide a window of one color over the image; what the score loses is shared by its pixels.

    S(x) = sum_i m_i(x) (f(I) - f(I without m_i)) / sum_i m_i(x)

    m_i is 1 inside window i. There is a window every `stride` pixels of each axis, alike from both
    ends, and those that reach over the border are cut there, so a mirrored image has the mirrored
    map. A map costs 28 x 28 + 1 passes by default, fewer where an axis has fewer than 28 pixels.

        saljax.occlusion(score_fn, image, target, window=56, stride=28)

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper.
        image: I, (*spatial, C), RGB in [0, 1].
        target: class index (), or (T,) for several classes from the same passes.
        window: side in pixels, or one number an axis; None is 35 of 224 pixels of each axis, at
            least 1.
        stride: pixels from one window to the next, or one number an axis; None is 8 of 224 pixels
            of each axis, at least 1.
        windows: "centered" has their centers all over the image; "inside" begins at 0, stride,
            2 stride ... until a window reaches the end of the axis, which cuts it where `stride`
            does not divide what is left.
        baseline: what the window shows, in [0, 1]: a number, a color, an image or a function of
            the image; None is the image's mean color.
        aggregate: "mean" over the windows that cover a pixel, or their "sum", where pixels that
            fewer windows cover count less.
        chunk_size: occluded images scored at a time; memory only, never the result.
            None: see `saljax.core.chunks.fitting`.

    Returns:
        (*spatial) map, or (T, *spatial), in units of the score: positive where hiding lowers it.

    Raises:
        ValueError: a window or stride below 1 or larger than the image, a stride larger than the
            window (pixels between would never be hidden), another number of them than axes,
            `chunk_size` not above 0, or an unknown choice of `windows` or `aggregate`.

    Source: Zeiler, Fergus, ECCV 2014; size, stride, mean and logits from Fong and Vedaldi's
    supplement, section 3, with the opposite sign, so that important is positive. Fong and Vedaldi's
    supplement's color is the mean of the classifier's training images,
    `baseline=jnp.asarray([0.485, 0.456, 0.406])` for ImageNet; the image's own mean, the default,
    needs no knowledge of the classifier. Deviations: Fong and Vedaldi's supplement's 28 positions a
    side are where windows begin, from 0 on, and only the far border cuts them; here they are the
    centers. In images of other sizes a window is the same share of each axis. captum's windows are
    "inside" and it takes the mean too; xplique takes the sum.
    """
    checks.one_of(get_args(Windows), windows=windows)
    checks.one_of(get_args(Aggregate), aggregate=aggregate)
    spatial = images.space(image)
    size, steps = sizes.or_default(defaults_for(spatial), window=window, stride=stride)
    _fit(spatial, window=size, stride=steps)
    if any(step > side for step, side in zip(steps, size, strict=True)):
        raise ValueError(
            f"`stride` must be at most `window`, {size}, or some pixels are never hidden; "
            f"got {steps}."
        )

    def window_at(corner):
        return masks.window(spatial, corner, size)

    place = masks.corners if windows == "centered" else masks.corners_inside
    corners, outside = place(spatial, size, steps), jnp.asarray(spatial, jnp.int32)[None]
    unseen = perturb.baseline_image(image, perturb.mean_color if baseline is None else baseline)
    drops = score_drops(score_fn, image, target, window_at, corners, outside, unseen, chunk_size)
    return drop_map(drops, window_at, corners, aggregate, chunk_size)


def blur_defaults_for(spatial: Sequence[int]) -> dict[str, Any]:
    """What stands for None in `blur_occlusion` of an image of this shape, one number an axis."""
    return {
        "diameter": sizes.lengths(35, spatial),
        "stride": sizes.whole(8, spatial),
        "softness": sizes.lengths(10, spatial),
        "blur": sizes.lengths(10, spatial),
    }


def blur_occlusion(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    diameter: float | tuple[float, ...] | None = None,
    stride: int | tuple[int, ...] | None = None,
    softness: float | tuple[float, ...] | None = None,
    blur: float | tuple[float, ...] | None = None,
    aggregate: Aggregate = "mean",
    chunk_size: int | None = None,
) -> Saliency:
    """Slide a soft disc over the image that shows it blurred; share what the score loses.

    S(x) = sum_i m_i(x) (f(I) - f(I (1 - m_i) + blur(I) m_i)) / sum_i m_i(x)

    m_i is a disc softened by a Gaussian blur. Discs stand as far apart as the windows of
    `occlusion`, alike from both ends of each axis, and are cut at the border like them. Lengths
    that are not given are those of a 224 x 224 image in proportion to each axis: in an image that
    is not square the discs are ellipses.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper.
        image: I, (*spatial, C), RGB in [0, 1].
        target: class index (), or (T,) for several classes from the same passes.
        diameter: of the disc before it is softened, in pixels, or one number an axis; None is 35
            of 224.
        stride: pixels from one disc to the next, or one number an axis; None is 8 of 224, at
            least 1.
        softness: standard deviation in pixels of the blur of the disc's edge, or one number an
            axis; None is 10 of 224, 0 leaves it hard.
        blur: standard deviation in pixels of the blur that hides, or one number an axis; None is
            10 of 224.
        aggregate: see `occlusion`; pixels that no disc reaches are 0.
        chunk_size: see `occlusion`.

    Returns:
        (*spatial) map, or (T, *spatial), in units of the score: positive where hiding lowers it.

    Raises:
        ValueError: `diameter`, `blur` or `chunk_size` is not above 0, `softness` is negative, a
            stride below 1 or larger than the image, another number of lengths than axes, or an
            unknown `aggregate`.

    Source: Fong and Vedaldi's supplement, section 4.1. Its "stride of 28 pixels" is read as 28
    positions, stride 8, as in its section 3; as in `occlusion` they are centers. That the disc
    fills the window's square is our reading.
    """
    checks.one_of(get_args(Aggregate), aggregate=aggregate)
    spatial = images.space(image)
    across, steps, softening, hiding = sizes.or_default(
        blur_defaults_for(spatial), diameter=diameter, stride=stride, softness=softness, blur=blur
    )
    for axis in range(len(spatial)):
        checks.positive(diameter=across[axis], blur=hiding[axis])
        checks.not_negative(softness=softening[axis])
    _fit(spatial, stride=steps)
    unit = [length / across[0] for length in across]

    def disc_at(place):
        center, radius = place
        return masks.disc(spatial, center, radius, softening, unit)

    centers = masks.centers(spatial, steps)
    discs = centers, jnp.full(len(centers), across[0] / 2, jnp.float32)
    nothing = centers[:1], jnp.zeros(1, jnp.float32)
    unseen = perturb.blurred(hiding)(image)
    drops = score_drops(score_fn, image, target, disc_at, discs, nothing, unseen, chunk_size)
    return drop_map(drops, disc_at, discs, aggregate, chunk_size)


def _fit(spatial: tuple[int, ...], **lengths: tuple[int, ...]) -> None:
    """Refuse sides that are no whole numbers of pixels, or larger than the image."""
    for name, sides in lengths.items():
        for side, n in zip(sides, spatial, strict=True):
            if not (isinstance(side, Integral) and 1 <= int(side) <= n):
                raise ValueError(
                    f"`{name}` must be a whole number of pixels, or one an axis, from 1 to the "
                    f"image's size, {spatial}; got {side!r}."
                )
