"""Meaningful perturbation: the smooth mask that takes a class's score away, or keeps it.

The method is that of "Interpretable Explanations of Black Boxes by Meaningful Perturbation" (ICCV
2017) and of its supplement.
"""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, keys
from saljax.core.ask import ask
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.methods.optimization.mask_games import MeaningfulPerturbation, Rules, answer, play
from saljax.ops import images, perturb, sizes

DEFAULT = {"top": None, "l1": 1e-4, "beta": 3.0}
LOCALIZATION = {"top": 5, "l1": 1e-3, "beta": 2.0}
"""The two settings of Fong and Vedaldi's supplement:
`functools.partial(saljax.meaningful_perturbation, **LOCALIZATION)`; the second makes sharper masks
that cover more of the object."""


def defaults_for(spatial: Sequence[int]) -> dict[str, Any]:
    """What stands for None in an image of this shape, lengths as one number an axis."""
    return {
        "mask_size": tuple(min(28, n) for n in spatial),
        "mask_sigma": sizes.lengths(5, spatial),
        "jitter": tuple(int(length) for length in sizes.lengths(4, spatial)),
        "baseline": perturb.blurred(sizes.lengths(10, spatial)),
    }


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
    mask_size: int | tuple[int, ...] | None = None,
    mask_sigma: float | tuple[float, ...] | None = None,
    jitter: int | tuple[int, ...] | None = None,
    baseline: Baseline | None = None,
    init: Literal["circle", "uniform", "half", "ones", "zeros"] = "circle",
    initial: Float[Array, "..."] | None = None,
    tolerance: float | None = None,
    chunk_size: int = 8,
    details: bool = False,
) -> Saliency | MeaningfulPerturbation:
    """Learn the smallest smooth mask whose perturbation takes the score of a class away.

    deletion:      min_m  l1 |1 - m|_1 + tv TV_beta(m) + E_tau f(M I_tau + (1 - M) B_tau)
    preservation:  min_m  l1 |m|_1     + tv TV_beta(m) - E_tau f(M I_tau + (1 - M) B_tau)

    over m in [0, 1]^cells, where M = blur(upsample(m)), and I_tau and B_tau are the image and the
    baseline shifted by the same tau. Norms are sums over the cells. A map costs num_steps passes
    forward and back, and 37 forward to find the circle it starts from. Fong and Vedaldi's
    supplement's setting for localization is `saljax.methods.optimization.meaningful.LOCALIZATION`:
    top 5, l1 0.001, beta 2.

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
        mask_size: cells of m a side, or one number an axis; None is 28, or as many as there are
            pixels where an axis has fewer.
        mask_sigma: standard deviation in pixels of the blur that smooths M, or one number an axis;
            None is 5 of 224 pixels of each axis, 0 leaves the cells.
        jitter: the image is enlarged by as many pixels, or one number an axis, and each step sees
            it from an offset in 0..jitter, while the mask stays; None is what is whole of 4 of
            224 pixels, 0 has none.
        baseline: B, what is shown where M is 0, in [0, 1]: a blur, a color, noise; None is a blur
            of 10 of 224 pixels of each axis. A function is also called with the enlarged image.
        init: "circle", the smallest soft disc about the center that takes 99 % of the score away
            (or keeps it), zeros where none does; "uniform" noise; or 0.5, 1 or 0 everywhere.
        initial: the mask to start from in place of `init`, in [0, 1] (cut there), 1 keeps in both
            games: m itself, as `details` returns it, or a mask (*spatial), which is brought to m's
            cells linearly, averaged where it shrinks; the map of a deletion is 1 minus such a mask.
            M is it once more smoothed, and Adam begins anew.
        tolerance: see `saljax.core.optimize.minimize`; None takes all steps.
        chunk_size: discs scored at a time; memory only, never the result.
        details: return `MeaningfulPerturbation`.

    Returns:
        (*spatial) map in [0, 1], 1 - M for deletion and M for preservation; larger is more
        important.

    Raises:
        ValueError: a number that must be above 0 and is not, a negative weight, sigma or jitter,
            an unknown choice of `game` or `init`, another number of lengths than axes, `initial`
            of another shape, several targets, or fewer than `top` classes.

    Source: Fong, Vedaldi, ICCV 2017, equation 6 and section 4.3 for the defaults; Fong and
    Vedaldi's supplement, equations 1 (preservation) and 2 (`top`) and section 2 (the circle), which
    its copy lost and its text tells. As in the paper's code: TV is isotropic, where the printed
    norm reads anisotropic; tau is a whole number of pixels in an enlarged image, where Fong and
    Vedaldi's supplement writes a uniform shift to either side; upsampling repeats cells. Unlike it,
    so that a mirrored image has the mirrored map (but for the shifts, which are drawn): offsets end
    at 4 and not at 3, TV looks both ways, a pixel between two cells takes half of each, and the
    discs are averaged and not sampled for the cells. Also unlike
    it: the gradient goes through the blur of the mask, which the code leaves out; the discs are
    compared with the image fully perturbed, as Fong and Vedaldi's supplement says, and not with the
    largest disc; the code blurs the picture's file before it is resized (give that picture as
    `baseline` for the same). In images of other sizes all lengths keep their share of each axis,
    and the discs are those of a 224 x 224 image in proportion to the diagonal, our choice.
    """
    spatial = images.space(image)
    defaults = defaults_for(spatial)
    cells, widths, shifts = sizes.or_default(
        defaults, mask_size=mask_size, mask_sigma=mask_sigma, jitter=jitter
    )
    for axis in range(len(spatial)):
        checks.count(mask_size=cells[axis])
        checks.not_negative(mask_sigma=widths[axis], jitter=shifts[axis])
        checks.count(jitter=shifts[axis] or None)  # 0 has none
    hides: Baseline = defaults["baseline"] if baseline is None else baseline
    nothing = perturb.baseline_image(image, hides)
    larger = [n + shift for n, shift in zip(spatial, shifts, strict=True)]
    around = images.resize(image, larger)
    around_nothing = (
        perturb.baseline_image(around, hides) if callable(hides) else images.resize(nothing, larger)
    )
    start_key, jitter_key = jax.random.split(keys.own(key))
    ends = jnp.asarray(shifts, jnp.int32) + 1
    enlarging = [_enlarging(*axis) for axis in zip(cells, spatial, widths, strict=True)]

    def enlarge(mask):
        for axis, matrix in enumerate(enlarging):
            along = jnp.tensordot(matrix, mask, (1, axis), precision="highest")
            mask = jnp.moveaxis(along, 0, axis)
        return mask

    def score(keep):
        return ask(score_fn, jax.vmap(perturb.blend, (None, 0, None))(image, keep, nothing))

    def score_shifted(mask, step):
        drawn = jax.random.fold_in(jitter_key, step)
        at = [*jax.random.randint(drawn, ends.shape, 0, ends, jnp.int32), jnp.int32(0)]
        seen, unseen = (jax.lax.dynamic_slice(x, at, image.shape) for x in (around, around_nothing))
        return ask(score_fn, perturb.blend(seen, enlarge(mask), unseen)[None])

    rules = Rules(
        game=game, num_steps=num_steps, learning_rate=learning_rate, l1=l1, tv=tv, beta=beta,
        isotropic=isotropic, top=top, init=init, initial=initial, tolerance=tolerance,
        chunk_size=chunk_size,
    )  # fmt: skip
    played = play(score, score_shifted, spatial, cells, target, rules, start_key)
    return answer(played, enlarge(played.mask), game, details)


def _enlarging(cells: int, n: int, sigma: float) -> Float[Array, "pixels cells"]:
    """Each pixel's share of the cells of one axis, repeated and blurred, which are both linear."""
    repeated = images.resize(jnp.eye(cells, dtype=jnp.float32), (n,), "nearest")
    # A pixel between two cells is given the later one by the first of these.
    alike = (repeated + repeated[::-1, ::-1]) / 2
    return images.blur(alike, sigma)
