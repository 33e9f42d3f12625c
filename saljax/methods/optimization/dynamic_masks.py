"""Dynamic masks: small masks of several sizes that keep a class's score.

From the appendix of "Hierarchical Dynamic Masks for Visual Explanation of Neural Networks" (2023).
Its main text was not at hand: sizes, numbers of steps and weights are our choice, all of them
hyperparameters.
"""

from collections.abc import Sequence
from numbers import Real
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, scores
from saljax.core.ask import ask
from saljax.core.optimize import adam, minimize
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.ops import images, perturb


class DynamicMasks(NamedTuple):
    """What dynamic masks are made of.

    Attributes:
        saliency: (*spatial) in [0, 1].
        masks: (number of masks, *spatial), those that were summed: the benchmark masks, once for
            each chain, then level by level the auxiliary ones, chain after chain.
        losses: (1 + levels, num_steps), of all masks of a level together, before each step.
    """

    saliency: Saliency
    masks: Float[Array, "masks *spatial"]
    losses: Float[Array, "levels num_steps"]


def dynamic_masks(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    sizes: Sequence[int] = (7, 10, 14),
    auxiliary: Sequence[Sequence[int]] = ((28,),),
    num_steps: int = 100,
    learning_rate: float | None = None,
    area_weight: float = 0.1,
    threshold: float = 0.0,
    parameters: Literal["sigmoid", "clip"] = "sigmoid",
    baseline: Baseline = perturb.mean_color,
    tolerance: float | None = None,
    details: bool = False,
) -> Saliency | DynamicMasks:
    """Learn small masks that keep a class's score; add them up over several sizes.

    d_i = argmin_d (f(I) - f(g(d) I))^2 + lambda |d|_1                   for each size, and then
    c_k = argmin_c (f(M_{k-1}) - f(M_k))^2 + lambda |c|_1,  M_k = g(c g(c_{k-1})),  c_0 = d_i
    S   = relu(mean of all g(d_i), g(c_k) - threshold), divided by its maximum

    g upsamples linearly; in M_k, c_{k-1} is frozen and only the finer c_k learned. Masks of one
    level are independent and learned as one batch, so a map costs num_steps passes forward and
    back of len(sizes) images, and of len(sizes) x chains images for each auxiliary level.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), probabilities: f is in [0, 1].
        image: I, (*spatial, C), RGB in [0, 1].
        target: class index ().
        sizes: cells a side of the benchmark vectors d_i.
        auxiliary: chains of auxiliary vectors; each is the sizes of c_1, c_2, ..., grown on every
            benchmark vector. () has none.
        num_steps: steps of Adam for the masks of a level.
        learning_rate: of Adam; None is 0.1 for "sigmoid" and 0.05 for "clip".
        area_weight: lambda times the number of a mask's cells: the price of its mean value.
        threshold: gamma, in [0, 1): what is cut off the mean of the masks.
        parameters: of a mask: "sigmoid" of free numbers, or numbers "clip"ped to [0, 1] after each
            step. Both start at 0.5 everywhere.
        baseline: what a mask of 0 shows, in [0, 1].
        tolerance: see `saljax.core.optimize.minimize`; None takes all steps.
        details: return `DynamicMasks`.

    Returns:
        (*spatial) map in [0, 1]; larger is more important.

    Raises:
        ValueError: a size, `num_steps` or `learning_rate` that is not above 0, a negative
            `area_weight`, no size, several targets, or an unknown choice of `parameters`.

    Source: the HDM paper, equation 1 and algorithm 1. Our readings: the paper's eta and lambda both
    name the weight, lambda is taken and eta is the learning rate; line 12 means c_j^0(i); what a
    level must reproduce is the score of the level below after its last step; the masks are
    averaged, so that the threshold is in [0, 1), and divided by their maximum. The paper multiplies
    the image by the mask without saying in which space; 0 is the image's mean color here, close to
    the zero of a normalized tensor. Sizes, steps, learning rate and weight are our choice: the
    paper gives none.
    """
    checks.one_of(("sigmoid", "clip"), parameters=parameters)
    if learning_rate is None:
        learning_rate = 0.1 if parameters == "sigmoid" else 0.05
    if not isinstance(auxiliary, tuple | list):
        raise ValueError(f"`auxiliary` must be a tuple of chains, () for none; got {auxiliary!r}.")
    lengths = {"sizes": sizes} | {f"auxiliary[{i}]": chain for i, chain in enumerate(auxiliary)}
    checks.several(**lengths)
    checks.count(num_steps=num_steps)
    checks.positive(learning_rate=learning_rate)
    checks.not_negative(area_weight=area_weight, threshold=threshold)
    if isinstance(threshold, Real) and float(threshold) >= 1:
        raise ValueError(f"`threshold` must be less than 1; got {threshold}.")
    for name, chain in lengths.items():
        for cells in chain:
            checks.count(**{name: cells})
    spatial, nothing = images.space(image), perturb.baseline_image(image, baseline)
    is_sigmoid = parameters == "sigmoid"

    def values(free):
        return jax.tree.map(jax.nn.sigmoid, free) if is_sigmoid else free

    def masks_of(vectors, below):
        """M_k of each vector; `below` are the vectors they grow on, None for benchmark vectors."""
        if below is not None:
            vectors = [c * images.resize(b, c.shape) for c, b in zip(vectors, below, strict=True)]
        return jnp.stack([images.resize(v, spatial) for v in vectors])

    def scored(masks):
        kept = jax.vmap(perturb.blend, in_axes=(None, 0, None))(image, masks, nothing)
        return scores.of_class(ask(score_fn, kept), target)

    def learn(cells, below, goals):
        def loss(free, step):
            vectors = values(free)
            missed = jnp.square(goals - scored(masks_of(vectors, below))).sum()
            return missed + area_weight * sum(v.mean() for v in vectors)

        start = [
            jnp.full((n,) * len(spatial), 0.0 if is_sigmoid else 0.5, jnp.float32) for n in cells
        ]
        found = minimize(
            loss,
            start,
            optimizer=adam(learning_rate),
            num_steps=num_steps,
            project=(lambda free: free) if is_sigmoid else _clipped,
            tolerance=tolerance,
        )
        return values(found.parameters), found

    scores.one_class(target)
    whole = scored(jnp.ones((1, *spatial), jnp.float32))
    benchmark, found = learn(sizes, None, whole)
    chains = [(d, chain) for d in benchmark for chain in auxiliary]
    below, chains = [d for d, _ in chains], [chain for _, chain in chains]
    summed, learned, shown = below or benchmark, [found], masks_of(below or benchmark, None)
    for level in range(max((len(chain) for chain in chains), default=0)):
        deeper = [n for n, chain in enumerate(chains) if len(chain) > level]
        below, chains = [below[n] for n in deeper], [chains[n] for n in deeper]
        goals = scored(shown[jnp.array(deeper)])
        grown, found = learn([chain[level] for chain in chains], below, goals)
        shown, below = masks_of(grown, below), grown
        summed, learned = summed + grown, [*learned, found]
    masks = masks_of(summed, None)
    saliency = by_maximum(jax.nn.relu(masks.mean(axis=0) - threshold))
    if not details:
        return saliency
    return DynamicMasks(saliency, masks, jnp.stack([found.losses for found in learned]))


def _clipped(free):
    return jax.tree.map(lambda x: jnp.clip(x, 0, 1), free)


def by_maximum(saliency: Float[Array, "*spatial"]) -> Float[Array, "*spatial"]:
    """A map >= 0 divided by its maximum; a zero map stays zero, a constant one becomes 1."""
    high = saliency.max()
    return saliency / jnp.where(high > 0, high, 1.0)
