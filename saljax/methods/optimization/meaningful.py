"""Meaningful perturbation: the smooth mask that takes a class's score away, or keeps it.

The method is that of "Interpretable Explanations of Black Boxes by Meaningful Perturbation" (ICCV
2017); S2 is its supplement.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, keys
from saljax.core.ask import ask
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.methods.optimization.mask_games import begin, play
from saljax.ops import images, perturb

DEFAULT = {"top": None, "l1": 1e-4, "beta": 3.0}
LOCALIZATION = {"top": 5, "l1": 1e-3, "beta": 2.0}
"""The two settings of S2: `functools.partial(saljax.meaningful_perturbation, **LOCALIZATION)`; the
second makes sharper masks that cover more of the object."""

BLUR = perturb.blurred(10.0)
"""What the paper shows where the mask is 0."""


class MeaningfulPerturbation(NamedTuple):
    """A learned mask.

    Attributes:
        saliency: the map.
        mask: m, at its own low resolution; 1 keeps, 0 perturbs.
        start: the mask at the start.
        losses: (num_steps,), before each step; NaN for steps that were not taken.
    """

    saliency: Saliency
    mask: Float[Array, "*cells"]
    start: Float[Array, "*cells"]
    losses: Float[Array, " num_steps"]


def meaningful_perturbation(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    game: Literal["deletion", "preservation"] = "deletion",
    num_steps: int = 300,
    learning_rate: float = 0.1,
    l1: float = 1e-4,
    tv: float = 1e-2,
    beta: float = 3.0,
    isotropic: bool = True,
    top: int | None = None,
    mask_size: int = 28,
    mask_sigma: float = 5.0,
    jitter: int = 4,
    baseline: Baseline = BLUR,
    init: Literal["circle", "uniform", "half", "ones", "zeros"] = "circle",
    tolerance: float | None = None,
    chunk_size: int = 8,
    details: bool = False,
) -> Saliency | MeaningfulPerturbation:
    """Learn the smallest smooth mask whose perturbation takes the score of a class away.

    deletion:      min_m  l1 |1 - m|_1 + tv TV_beta(m) + E_tau f(M I_tau + (1 - M) B_tau)
    preservation:  min_m  l1 |m|_1     + tv TV_beta(m) - E_tau f(M I_tau + (1 - M) B_tau)

    over m in [0, 1]^cells, where M = blur(upsample(m)), and I_tau and B_tau are the image and the
    baseline shifted by the same tau. Norms are sums over the cells. A map costs num_steps passes
    forward and back, and 37 forward to find the circle it starts from. S2's setting for
    localization is `saljax.methods.optimization.meaningful.LOCALIZATION`: top 5, l1 0.001, beta 2.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities in the paper.
        image: I, (*spatial, C), RGB in [0, 1].
        target: class index (); not looked at where `top` is given.
        key: of the shifts and of a uniform start.
        game: "deletion" looks for little that the score needs, "preservation" for little that it
            can live on.
        num_steps: steps of Adam; after each, m is clipped to [0, 1].
        learning_rate: of Adam.
        l1: weight of what is perturbed (deletion) or kept (preservation), in cells.
        tv: weight of the mask's roughness.
        beta: power of its gradient, above 0.
        isotropic: the gradient's length and not its components to the power `beta`, see
            `saljax.ops.regularizers.total_variation`.
        top: f is the sum over as many classes, those that score highest in the image.
        mask_size: cells of m a side.
        mask_sigma: standard deviation in pixels of the blur that smooths M; 0 leaves the cells.
        jitter: the image is enlarged by as many pixels, and each step sees it from an offset in
            0..jitter-1 on each axis, while the mask stays; 0 has none.
        baseline: B, what is shown where M is 0, in [0, 1]: a blur of 10 pixels, a color, noise. A
            function is also called with the enlarged image.
        init: "circle", the smallest soft disc about the center that takes 99 % of the score away
            (or keeps it), zeros where none does; "uniform" noise; or 0.5, 1 or 0 everywhere.
        tolerance: see `saljax.core.optimize.minimize`; None takes all steps.
        chunk_size: discs scored at a time; memory only, never the result.
        details: return `MeaningfulPerturbation`.

    Returns:
        (*spatial) map in [0, 1], 1 - M for deletion and M for preservation; larger is more
        important.

    Raises:
        ValueError: a number that must be above 0 and is not, a negative weight, sigma or jitter,
            an unknown choice of `game` or `init`, several targets, or fewer than `top` classes.

    Source: Fong, Vedaldi, ICCV 2017, equation 6 and section 4.3 for the defaults; S2, equations 1
    (preservation) and 2 (`top`) and section 2 (the circle), which its copy lost and its text tells.
    As in the paper's code: TV is isotropic, where the printed norm reads anisotropic; tau is a
    whole number of pixels in an enlarged image, where S2 writes a uniform shift to either side;
    upsampling repeats cells. Unlike it: the gradient goes through the blur of the mask, which the
    code leaves out; the discs are compared with the image fully perturbed, as S2 says, and not with
    the largest disc; the code blurs the picture's file before it is resized (give that picture as
    `baseline` for the same). For images of other sizes the discs are those of a 224 x 224 image in
    proportion to the diagonal, our choice.
    """
    checks.count(num_steps=num_steps, top=top, mask_size=mask_size, chunk_size=chunk_size)
    checks.positive(learning_rate=learning_rate, beta=beta)
    checks.not_negative(l1=l1, tv=tv, mask_sigma=mask_sigma, jitter=jitter)
    checks.count(jitter=jitter or None)  # 0 has none
    spatial = image.shape[:-1]
    cells = (mask_size,) * len(spatial)
    nothing = perturb.baseline_image(image, baseline)
    larger = [n + jitter for n in spatial]
    around = images.resize(image, larger)
    around_nothing = (
        perturb.baseline_image(around, baseline)
        if callable(baseline)
        else images.resize(nothing, larger)
    )
    start_key, jitter_key = jax.random.split(keys.own(key))
    shape, end = (num_steps, len(spatial)), max(jitter, 1)
    offsets = jax.random.randint(jitter_key, shape, 0, end, jnp.int32)
    # Both the repetition of cells and the blur are separable and linear: one small matrix an axis.
    enlarging = [
        images.blur(
            images.resize(jnp.eye(mask_size, dtype=jnp.result_type(image)), (n,), "nearest"),
            mask_sigma,
        )
        for n in spatial
    ]

    def enlarge(mask):
        for axis, matrix in enumerate(enlarging):
            along = jnp.tensordot(matrix, mask, (1, axis), precision="highest")
            mask = jnp.moveaxis(along, 0, axis)
        return mask

    def score(keep):
        return ask(score_fn, jax.vmap(perturb.blend, (None, 0, None))(image, keep, nothing))

    def score_shifted(mask, step):
        at = [*offsets[step], jnp.int32(0)]
        seen, unseen = (jax.lax.dynamic_slice(x, at, image.shape) for x in (around, around_nothing))
        return ask(score_fn, perturb.blend(seen, enlarge(mask), unseen)[None])

    start, classes = begin(
        score,
        spatial,
        cells,
        target,
        top=top,
        game=game,
        init=init,
        key=start_key,
        chunk_size=chunk_size,
    )
    found = play(
        score_shifted,
        start,
        classes,
        game=game,
        num_steps=num_steps,
        learning_rate=learning_rate,
        l1=l1,
        tv=tv,
        beta=beta,
        isotropic=isotropic,
        tolerance=tolerance,
    )
    kept = enlarge(found.parameters)
    saliency = 1 - kept if game == "deletion" else kept
    if details:
        return MeaningfulPerturbation(saliency, found.parameters, start, found.losses)
    return saliency
