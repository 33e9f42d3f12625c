"""RISE: randomized input sampling for explanation."""

from numbers import Real
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from saljax.core import checks, keys
from saljax.core.loops import while_loop
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.methods.perturbation.mask_means import mean, standard_error, sums
from saljax.methods.perturbation.masking import score_masked
from saljax.ops import draws, images, masks, perturb

Sampling = Literal["independent", "stratified"]
GROUP = {"independent": 1, "stratified": 32}
"""Masks that are drawn together; groups know nothing of each other. Our choice."""
TURN = 256
"""Masks from one look at the error to the next; our choice."""


class RiseDetails(NamedTuple):
    """A map of RISE and how sure it is.

    Attributes:
        saliency: (*spatial), or (T, *spatial).
        standard_error: of the same shape: how much the map would differ with another key, as a
            standard deviation, estimated from the masks of this one. NaN for a single mask, or a
            single group of masks that were drawn together.
        num_masks: (), how many masks were scored.
    """

    saliency: Saliency
    standard_error: Float[Array, "..."]
    num_masks: Int[Array, ""]


def rise(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    key: keys.RandomKey,
    num_masks: int = 8000,
    grid: int = 7,
    probability: float = 0.5,
    divide_by: Literal["expectation", "coverage"] = "expectation",
    baseline: Baseline | None = None,
    sampling: Sampling = "independent",
    tolerance: float | None = None,
    chunk_size: int | None = None,
    details: bool = False,
) -> Saliency | RiseDetails:
    """Mean of random masks, each weighted by what the classifier says of the masked image.

    S(x) = 1/(p N) sum_i f(I * m_i) m_i(x),    E[m_i(x)] = p

    m_i is a random grid of cells kept with probability p, enlarged linearly and shifted at random
    (`saljax.ops.masks.random_grid`). The classifier's mean over all masks is part of S everywhere,
    so a map is read by its differences; they stand out of the sampling noise where they are many
    standard errors (`details`), which fall as 1/sqrt(N).

        saljax.rise(score_fn, image, target, key=jax.random.key(0), num_masks=500)

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities in the paper.
        image: I, (*spatial, C), RGB in [0, 1].
        target: class index (), or (T,) for several classes from the same passes.
        key: one key; mask i has its own, folded from i, so the chunk size never changes the map
            and more masks begin with the same ones.
        num_masks: N; the paper takes 8000 for ResNet-50 and 4000 for VGG-16.
        grid: h, cells a side; evidence smaller than a cell is blurred to its size.
        probability: p, of a cell to be kept.
        divide_by: "expectation" is p N; "coverage" is sum_i m_i(x), a weighted mean of the scores.
        baseline: what masked pixels show, in [0, 1]: a number, a color, an image or a function of
            the image; None is the image's mean color.
        sampling: "independent", or "stratified": in groups of 32 masks each cell and each shift is
            drawn once from every 32nd of its range, in an order of its own, so that a group shows
            every cell as often as p says. Each mask by itself is drawn as before, so the mean over
            keys is the same; the error is that of the groups.
        tolerance: look at the error after every 256 masks, and end when what differs from pixel to
            pixel of it is at most this share of the map's own differences, for all classes asked
            for: sqrt(mean_x e(x)^2 - e_mean^2) <= tolerance std_x S(x), where e_mean is the
            standard error of the map's mean. The map then correlates with that of endlessly many
            masks by about sqrt(1 - tolerance^2): 0.14 for 0.99, 0.31 for 0.95. `num_masks` is the
            most. None takes all masks.
        chunk_size: masked images scored at a time; memory only, never the result.
            None: see `saljax.core.chunks.fitting`.
        details: return `RiseDetails`, with the standard error of every pixel.

    Returns:
        (*spatial) map, or (T, *spatial), in the scale of the scores; larger is more important.

    Raises:
        ValueError: `num_masks`, `grid`, `probability`, `tolerance` or `chunk_size` is not above 0,
            `probability` is above 1, `divide_by` or `sampling` is unknown, or `num_masks` is no
            multiple of 32 for "stratified".

    Source: Petsiuk, Das, Saenko, BMVC 2018, equation 6, and github.com/eclique/RISE for the masks.
    The equation multiplies the image; the authors' code does so after subtracting the mean of the
    classifier's training images, so that masked pixels show this mean:
    `baseline=jnp.asarray([0.485, 0.456, 0.406])` for ImageNet. The image's own mean, the default,
    needs no knowledge of the classifier; `baseline=0.0` is the equation read in [0, 1]. "coverage",
    the standard error (of a mean; for "coverage" of a ratio, by linearization), "stratified" (a
    Latin hypercube, `saljax.ops.draws.stratified`) and the tolerance are our choice.
    """
    checks.count(num_masks=num_masks, grid=grid, chunk_size=chunk_size)
    checks.positive(probability=probability, tolerance=tolerance)
    if isinstance(probability, Real) and float(probability) > 1:
        raise ValueError(f"`probability` must be at most 1; got {probability}.")
    checks.one_of(("expectation", "coverage"), divide_by=divide_by)
    checks.one_of(get_args(Sampling), sampling=sampling)
    group, by_coverage = GROUP[sampling], divide_by == "coverage"
    if num_masks % group:
        raise ValueError(
            f'`num_masks` must be a multiple of {group} for sampling="{sampling}"; got {num_masks}.'
        )
    key = keys.own(key)
    spatial = images.space(image)
    size = masks.draws_of_grid(spatial, grid)
    unseen = perturb.baseline_image(image, perturb.mean_color if baseline is None else baseline)

    def masks_from(first, number):
        """What masks are made from; one beyond `num_masks` shows nothing and counts nothing."""
        indices = first + jnp.arange(number)
        used = (indices < num_masks).astype(jnp.float32)
        if sampling == "independent":
            return indices, used
        of_groups = jax.vmap(jax.random.fold_in, (None, 0))(key, indices[::group] // group)
        drawn = jax.vmap(lambda k: draws.stratified(k, group, size))(of_groups)
        return drawn.reshape(number, size), used

    def mask_of(item):
        drawn, used = item
        if sampling == "independent":
            own = jax.random.fold_in(key, drawn)
            return masks.random_grid(own, spatial, grid, probability) * used
        return masks.grid_of(drawn, spatial, grid, probability) * used

    def with_mean(item):
        """The mask, and its mean as one pixel more."""
        mask = mask_of(item).reshape(-1)
        return jnp.concatenate([mask, mask.mean(keepdims=True)])

    def sums_from(first, number, shown, middle=None):
        items = masks_from(first, number)
        answers = score_masked(score_fn, image, target, mask_of, items, unseen, chunk_size)
        # For a ratio the scores are taken from their mean, which a square would let swallow them.
        own = answers.mean(axis=0) if by_coverage else jnp.zeros_like(answers[0])
        middle = own if middle is None else jnp.where(first == 0, own, middle)
        needs_error = details or tolerance is not None
        total = sums(answers - middle[None], shown, items, group, chunk_size, needs_error)
        return middle, total

    expected = None if by_coverage else probability
    if tolerance is None:
        middle, total = sums_from(0, num_masks, mask_of)
        saliency = mean(total, middle, num_masks, expected)
        if not details:
            return saliency
        error = standard_error(total, num_masks, group, expected)
        return RiseDetails(saliency, error, jnp.int32(num_masks))

    turn = min(TURN, num_masks)

    def found_from(middle, total, done):
        found = mean(total, middle, done, expected)
        return found, standard_error(total, done, group, expected)

    def advance(state):
        done, middle, total, _ = state
        middle, new = sums_from(done, turn, with_mean, middle)
        total = jax.tree.map(jnp.add, total, new)
        done = jnp.minimum(done + turn, num_masks)
        found, error = found_from(middle, total, done)
        noise = jnp.square(error[..., :-1]).mean(axis=-1) - jnp.square(error[..., -1])
        spread = jnp.square(tolerance) * found[..., :-1].var(axis=-1)
        return done, middle, total, ~(noise <= spread).all() & (done < num_masks)

    shapes = jax.eval_shape(lambda: sums_from(0, turn, with_mean))
    empty = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    start = (jnp.int32(0), *empty, jnp.bool_(True))
    done, middle, total, _ = while_loop(lambda state: state[-1], advance, start)
    found = found_from(middle, total, done)
    saliency, error = (x[..., :-1].reshape(*middle.shape, *spatial) for x in found)
    return RiseDetails(saliency, error, done) if details else saliency
