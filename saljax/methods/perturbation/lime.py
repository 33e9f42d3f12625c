"""LIME: a linear model of the classifier around one image, in the segments of the image."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from saljax.core import checks, keys
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.methods.perturbation.masking import score_masked
from saljax.methods.perturbation.segments import colored, labeled
from saljax.ops import perturb


class LimeDetails(NamedTuple):
    """The linear model that LIME fitted.

    Attributes:
        saliency: (*spatial), or (T, *spatial).
        coefficients: (R,), or (T, R), one a segment.
        intercept: () or (T,); with the coefficients it sums to the model's score of the image.
        r2: () or (T,), weighted share of the scores' variance that the model explains, at most 1;
            NaN where all scores are equal.
    """

    saliency: Saliency
    coefficients: Float[Array, "*classes_asked segments"]
    intercept: Float[Array, "*classes_asked"]
    r2: Float[Array, "*classes_asked"]


def lime(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    num_samples: int = 1000,
    grid: int = 8,
    segments: Int[Array, "*spatial"] | Int[np.ndarray, "*spatial"] | None = None,
    num_segments: int | None = None,
    alpha: float = 1.0,
    kernel_width: float = 0.25,
    baseline: Baseline | None = None,
    chunk_size: int | None = None,
    details: bool = False,
) -> Saliency | LimeDetails:
    """Switch random segments off and fit a linear model to what the classifier says.

    minimize over c, b:    sum_i w_i (f(I with z_i) - b - z_i . c)^2 + alpha |c|^2
    w_i = sqrt(exp(-d_i^2 / kernel_width^2)),    d_i = 1 - cos(z_i, 1)

    z_i in {0, 1}^R says which of R segments of the image are shown; each is with probability 1/2,
    and z_1 shows all. A pixel's saliency is its segment's coefficient.

    Segments that follow the image, such as superpixels, differ from image to image; a batch of them
    goes through `jax.vmap` with the images and keys:

        segments = np.stack([quickshift(image) for image in images])
        method = functools.partial(saljax.lime, num_segments=int(segments.max()) + 1)
        many = jax.jit(jax.vmap(method, in_axes=(None, 0, 0)))
        saliency = many(score_fn, images, targets, key=keys, segments=segments)

        saljax.lime(score_fn, image, target, key=jax.random.key(0), num_samples=500)

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities in the paper.
        image: I, (*spatial, C), RGB in [0, 1].
        target: class index (), or (T,) for several classes from the same passes.
        key: one key; sample i has its own, folded from i.
        num_samples: passes, the whole image among them.
        grid: cells a side of the regular grid of segments, where `segments` is not given.
        segments: (*spatial), labels 0..R-1.
        num_segments: R, only needed where `segments` is not known until the program runs (inside
            jit, vmap or `explain`); labels that do not occur change nothing.
        alpha: strength of the ridge penalty; the intercept is not penalized. 0 needs more samples
            than segments.
        kernel_width: how fast samples lose weight with their cosine distance from the whole image.
        baseline: what segments that are off show, in [0, 1]: a number, a color, an image or a
            function of the image; None is each segment's own mean color.
        chunk_size: samples scored at a time; memory only, never the result.
            None: see `saljax.core.chunks.fitting`.
        details: return `LimeDetails`, with the linear model.

    Returns:
        (*spatial) map, or (T, *spatial), constant in each segment, in units of the score: positive
        where showing a segment raises it.

    Raises:
        ValueError: `num_samples`, `grid`, `kernel_width` or `chunk_size` is not above 0, `alpha` is
            negative, `segments` is not of the image's shape or has labels other than 0..R-1, or
            `num_segments` is missing or given without them.

    Source: Ribeiro, Singh, Guestrin, KDD 2016, and github.com/marcotcr/lime for images: ridge,
    weights and defaults. Its segments are superpixels (`quickshift` in saljax.data.superpixels);
    the grid is our choice, since it needs no other library and serves every image of a batch.
    """
    checks.count(num_samples=num_samples, grid=grid, chunk_size=chunk_size)
    checks.positive(kernel_width=kernel_width)
    checks.not_negative(alpha=alpha)
    key = keys.own(key)
    labels, number = labeled(image, grid, segments, num_segments)
    occurs = jnp.zeros(number, jnp.float32).at[labels].set(1.0)

    def draw(index):
        own, half = jax.random.fold_in(key, index), jnp.float32(0.5)
        shown = jax.random.bernoulli(own, half, (number,))
        return jnp.where(shown | (index == 0), occurs, 0.0)

    shown = jax.vmap(draw)(jnp.arange(num_samples))
    unseen = (
        colored(image, labels, number)
        if baseline is None
        else perturb.baseline_image(image, baseline)
    )
    answers = score_masked(score_fn, image, target, lambda z: z[labels], shown, unseen, chunk_size)
    weights = proximity(shown.sum(axis=1) / occurs.sum(), kernel_width)
    fit = fit_ridge if answers.ndim == 1 else jax.vmap(fit_ridge, (None, 1, None, None))
    coefficients, intercept, r2 = fit(shown, answers, weights, alpha)
    saliency = coefficients[..., labels]
    return LimeDetails(saliency, coefficients, intercept, r2) if details else saliency


def proximity(share: Float[Array, " samples"], kernel_width: float) -> Float[Array, " samples"]:
    """Weights of samples that show a share of the segments, 1 for the whole image.

    Args:
        share: in [0, 1]; its square root is the cosine of such a sample with the whole.
        kernel_width: see `lime`.

    Returns:
        w = sqrt(exp(-d^2 / kernel_width^2)), d = 1 - cosine, in (0, 1].
    """
    return jnp.sqrt(jnp.exp(-jnp.square((1 - jnp.sqrt(share)) / kernel_width)))


def fit_ridge(
    x: Float[Array, "samples features"],
    y: Float[Array, " samples"],
    weights: Float[Array, " samples"],
    alpha: float,
) -> tuple[Float[Array, " features"], Float[Array, ""], Float[Array, ""]]:
    """Weighted ridge regression with an intercept that is not penalized.

    Args:
        x: (N, R).
        y: (N,).
        weights: (N,), of the squared residuals.
        alpha: weight of the sum of squared coefficients.

    Returns:
        Coefficients (R,), intercept (), weighted share of the variance of y explained ().
    """
    absent = (x.max(axis=0) == 0).astype(x.dtype)  # labels that do not occur: their c is 0
    share = weights / weights.sum()
    mean_x, mean_y = (share[:, None] * x).sum(axis=0), (share * y).sum()
    x, y = x - mean_x[None], y - mean_y
    weighted = (x * weights[:, None]).T
    gram = jnp.matmul(weighted, x, precision="highest") + jnp.diag(alpha + absent)
    moments = jnp.matmul(weighted, y, precision="highest")
    coefficients = jax.scipy.linalg.solve(gram, moments, assume_a="pos")
    rest = y - jnp.matmul(x, coefficients, precision="highest")
    r2 = 1 - (share * jnp.square(rest)).sum() / (share * jnp.square(y)).sum()
    return coefficients, mean_y - (mean_x * coefficients).sum(), r2
