"""Faithfulness M_F: how soon do the pixels ranked highest bring the class back?"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, ranking
from saljax.core.types import Image, ScoreFn, Target
from saljax.metrics import inputs
from saljax.ops import images, maps


def faithfulness(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "*spatial"],
    *,
    num_steps: int = 32,
    sigma: float = 10.0,
    kernel: int = 55,
    tie_break: float = 1e-3,
    chunk_size: int = 32,
) -> Float[Array, ""]:
    """Mean of `faithfulness_curve` in percent, 100 sum_i Q_i / m; DRE calls it M_F.

    Args:
        score_fn: see `faithfulness_curve`, as all others.
        image: (*spatial, C).
        target: class index ().
        saliency: (*spatial).
        num_steps: m.
        sigma: of the blur.
        kernel: of the blur.
        tie_break: weight of the blurred map.
        chunk_size: memory only.

    Returns:
        () in 0..100 for probabilities; higher is more faithful.

    Raises:
        ValueError: see `faithfulness_curve`.

    Source: the DRE paper, equation 10: the right Riemann sum, without Q_0. The DRE paper's tables
    are relative to the methods compared, see `faithfulness_relative`.
    """
    curve = faithfulness_curve(
        score_fn, image, target, saliency, num_steps=num_steps, sigma=sigma, kernel=kernel,
        tie_break=tie_break, chunk_size=chunk_size,
    )  # fmt: skip
    return 100.0 * curve.mean()


def faithfulness_curve(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "*spatial"],
    *,
    num_steps: int = 32,
    sigma: float = 10.0,
    kernel: int = 55,
    tie_break: float = 1e-3,
    chunk_size: int = 32,
) -> Float[Array, " steps"]:
    """Score of the blurred image with more and more of the most important pixels clean.

    Q_i = P(y | I where the pixel is among the i N / m highest of N, the blurred I elsewhere)

    for i = 1..m; the last is the clean image.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities in the paper.
        image: I, (*spatial, C).
        target: y, class index ().
        saliency: S, (*spatial).
        num_steps: m.
        sigma: standard deviation of the blur in pixels.
        kernel: width of the blur's window in pixels, odd.
        tie_break: pixels are ranked by S + tie_break blur(S), so that among equals those near
            others count more; what is equal even then goes in order of memory. 0 ranks by S alone.
        chunk_size: images scored at a time; memory only, never the result.

    Returns:
        (m,); NaN for a map with a NaN or a class that does not exist.

    Raises:
        ValueError: shapes that do not go together, or a number out of its range.

    Source: the DRE paper, section 4.1, with its released code for sigma 10 and kernel 55 (the DRE
    paper prints "variance of 10"). The DRE paper adds the smoothed map "with a small weight";
    weight and blur are our choice. The blur repeats the edge pixels, where the code sets zeros
    outside and is off center by a pixel.
    """
    checks.count(num_steps=num_steps, chunk_size=chunk_size, kernel=kernel)
    checks.positive(sigma=sigma)
    if kernel % 2 == 0:
        raise ValueError(f"`kernel` must be odd; got {kernel}.")
    checks.not_negative(tie_break=tie_break)
    saliency = inputs.map_of(image, saliency, target)
    smoothed = images.blur(saliency[..., None], sigma, kernel // 2)[..., 0]
    pixels = math.prod(saliency.shape)
    counts = [step * pixels // num_steps for step in range(1, num_steps + 1)]
    return ranking.score_curves(
        score_fn, target, saliency + tie_break * smoothed,
        image[None], images.blur(image, sigma, kernel // 2)[None],
        jnp.asarray(counts, jnp.int32), chunk_size,
    )[0]  # fmt: skip


def faithfulness_relative(curves: Float[Array, "methods steps"]) -> Float[Array, " methods"]:
    """M_F of several methods on one image, min-max normalized over the methods.

    Args:
        curves: (M, m), of `faithfulness_curve`.

    Returns:
        (M,): 0 for the worst of the methods on this image and 100 for the best; zeros where all
        are equal. The numbers depend on who else is compared.

    Raises:
        ValueError: `curves` are not (M, m).

    Source: the DRE paper, section 4.2, tables 3 and 5: their mean over images.
    """
    curves = jnp.asarray(curves, jnp.float32)
    if curves.ndim != 2:
        raise ValueError(f"`curves` must be (methods, steps) of one image; got {curves.shape}.")
    return 100.0 * maps.normalize(curves.mean(axis=1))
