"""FunnyBirds' protocols, for pictures whose parts can be painted over, such as birdlets."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from saljax.core import checks, chunks, ranking, scores
from saljax.core.ask import ask
from saljax.core.types import Image, ScoreFn, Target
from saljax.metrics import inputs, similarity
from saljax.ops import perturb

THRESHOLDS = tuple(np.linspace(0.01, 0.5, 80).tolist())
IRRELEVANT = 0.05
"""Share of the score that an irrelevant part's removal costs at most."""


class FunnyBirds(NamedTuple):
    """Of one image; those of T thresholds are of the parts that the map takes for important.

    Attributes:
        csdc: (T,), 1 where the decisive part is among them: controlled synthetic data check.
        preservation: (T,), 1 where the prediction stays with these parts alone.
        deletion: (T,), 1 where it changes without them.
        distractibility: (T,), 1 - the share of irrelevant parts among them; NaN where none is
            irrelevant.
        single_deletion: (), (1 + Spearman) / 2 of the parts' importance and of what the score loses
            without each of them; NaN where either is constant.
        rank: (), of the decisive part by importance, 1 the highest; equal ones share their mean.
    """

    csdc: Float[Array, " thresholds"]
    preservation: Float[Array, " thresholds"]
    deletion: Float[Array, " thresholds"]
    distractibility: Float[Array, " thresholds"]
    single_deletion: Float[Array, ""]
    rank: Float[Array, ""]


class FunnyBirdsScores(NamedTuple):
    """Of many images, all in [0, 1] but the threshold; higher is better.

    Attributes:
        completeness: (), ((csdc + preservation + deletion) / 3 + distractibility) / 2.
        correctness: (), single deletion.
        threshold: (), the one at which completeness is highest.
    """

    completeness: Float[Array, ""]
    correctness: Float[Array, ""]
    threshold: Float[Array, ""]


def funny_birds(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    saliency: Float[Array, "*spatial"],
    parts: Float[Array, "parts *spatial"],
    colors: Float[Array, "parts channels"],
    decisive: Int[Array, ""] | int,
    *,
    dilation: int = 5,
    thresholds: tuple[float, ...] = THRESHOLDS,
    chunk_size: int = 32,
) -> FunnyBirds:
    """Completeness and correctness of a map in terms of parts.

    A part is important at t if the map's mass on it, dilated, is more than t of all its mass. Parts
    are removed by painting over them.

    Args:
        score_fn: images (N, *spatial, C) -> probabilities (N, K).
        image: (*spatial, C).
        target: class index (), the predicted class.
        saliency: (*spatial); negative values count as zero.
        parts: (P, *spatial) in [0, 1], how much of each pixel a part covers. Where it is a third or
            more the pixel is painted over wholly.
        colors: (P, C), what each is painted over with; see `birdlets.removable`.
        decisive: index of the part that decides the class.
        dilation: pixels a side of the square by which parts grow before the mass on them is taken.
        thresholds: t.
        chunk_size: images scored at a time; memory only, never the result.

    Returns:
        A `FunnyBirds`; NaN for a map with a NaN.

    Raises:
        ValueError: shapes that do not go together, or a number that is not above 0.

    Source: Hesse, Schaub-Meyer, Roth, "FunnyBirds", ICCV 2023, and its official code. There parts
    are left out of a rendered scene; a bird of `birdlets` has one part that decides and no other
    sufficient set. A part is irrelevant if the probability falls by less than 5 % without it; the
    official code takes logits.
    """
    checks.count(dilation=dilation, chunk_size=chunk_size)
    checks.several(thresholds=thresholds)
    saliency = inputs.map_of(image, saliency, target)
    number = len(parts)
    if parts.shape[1:] != saliency.shape or colors.shape != (number, image.shape[-1]):
        raise ValueError(
            f"`parts` must be (P, *{saliency.shape}) and `colors` (P, {image.shape[-1]}); got "
            f"{parts.shape} and {colors.shape}."
        )
    importance, mass = part_importance(saliency, parts, dilation=dilation)
    places = ranking.ranks(importance)
    amounts = jnp.clip(3 * parts, 0, 1)

    def painted(removed):
        """The image without some of the parts, one after the other."""

        def over(so_far, part):
            amount, color, gone = part
            kept = 1 - jnp.where(gone, amount, 0.0)
            return perturb.blend(so_far, kept, jnp.broadcast_to(color, image.shape)), None

        return jax.lax.scan(over, image, (amounts, colors.astype(image.dtype), removed))[0]

    top = (
        places[None] < jnp.arange(number + 1, dtype=jnp.int32)[:, None]
    )  # the k most important, k = 0..P
    removed = jnp.concatenate([~top, top, jnp.eye(number, dtype=bool)])
    found = chunks.map_over(
        lambda some: ask(score_fn, jax.vmap(painted)(some)), removed, chunk_size
    )
    kept, without, _ = jnp.split(found, [number + 1, 2 * number + 2])
    first = jnp.argmax(kept[number])
    stays, changes = jnp.argmax(kept, axis=1) == first, jnp.argmax(without, axis=1) != first
    of_target = scores.of_class(found, target)
    own, drops = of_target[number], of_target[number] - of_target[2 * number + 2 :]
    irrelevant = drops < IRRELEVANT * own
    important = importance[None] > jnp.asarray(thresholds, jnp.float32)[:, None] * mass
    counts = important.sum(axis=1)
    wrong = (important & irrelevant[None]).sum(axis=1).astype(jnp.float32)
    of = irrelevant.sum().astype(jnp.float32)
    correlation = (1 + similarity.spearman(importance, drops)) / 2
    mean_rank = (number + 1) / 2 - similarity.mean_ranks(importance)[decisive]
    answers = FunnyBirds(
        important[:, decisive].astype(jnp.float32), stays[counts].astype(jnp.float32),
        changes[counts].astype(jnp.float32), 1 - wrong / jnp.where(of > 0, of, jnp.nan),
        correlation, mean_rank,
    )  # fmt: skip
    broken = jnp.isnan(saliency).any()
    return jax.tree.map(lambda x: jnp.where(broken, jnp.nan, x), answers)


def funny_birds_scores(
    answers: FunnyBirds, *, thresholds: tuple[float, ...] = THRESHOLDS
) -> FunnyBirdsScores:
    """Completeness and correctness over many images, at the threshold that suits the method best.

    Args:
        answers: of `funny_birds`, each array with an axis of images first.
        thresholds: those of `funny_birds`.

    Returns:
        A `FunnyBirdsScores`; NaN does not count.

    Source: FunnyBirds, section 4, and its official code.
    """
    means = [jnp.nanmean(jnp.asarray(x), axis=0) for x in answers]
    csdc, preservation, deletion, distractibility, single, _ = means
    complete = ((csdc + preservation + deletion) / 3 + distractibility) / 2
    best = jnp.nanargmax(complete)
    return FunnyBirdsScores(complete[best], single, jnp.asarray(thresholds, jnp.float32)[best])


def part_importance(
    saliency: Float[Array, "*spatial"], parts: Float[Array, "parts *spatial"], *, dilation: int = 5
) -> tuple[Float[Array, " parts"], Float[Array, ""]]:
    """A map's mass on each part, and in all.

    Args:
        saliency: (*spatial); negative values count as zero.
        parts: (P, *spatial) in [0, 1]; a pixel belongs to a part that covers half of it or more.
        dilation: pixels a side of the square by which parts grow.

    Returns:
        (P,) and ().
    """
    mass = jnp.maximum(inputs.any_map(saliency), 0.0)
    window = (1, *(dilation,) * saliency.ndim)
    grown = jax.lax.reduce_window(
        (parts >= 0.5).astype(jnp.float32), np.float32(0), jax.lax.max, window, (1,) * parts.ndim,
        "SAME",
    )  # fmt: skip
    return (grown * mass[None]).sum(tuple(range(1, parts.ndim))), mass.sum()


def target_sensitivity(
    saliency: Float[Array, "2 *spatial"], parts: Float[Array, "2 *spatial"], *, dilation: int = 5
) -> Float[Array, ""]:
    """Whether the map of each of two classes in a picture has more on what decides it.

    Args:
        saliency: (2, *spatial), maps of the two classes.
        parts: (2, *spatial), the parts that decide them, as of `birdlets.pair`.
        dilation: see `part_importance`.

    Returns:
        () 0, 1/2 or 1, the share of the two parts that are more important in the map of their own
        class than in the other's; higher is better. NaN for a map with a NaN.

    Raises:
        ValueError: there are not two of each.

    Source: FunnyBirds, target sensitivity. Leave pictures out where the classifier itself does not
    follow the parts, as the paper does.
    """
    if len(saliency) != 2 or parts.shape != saliency.shape:
        raise ValueError(
            f"two maps and two parts are compared; got {saliency.shape} and {parts.shape}."
        )
    of_maps = jax.vmap(lambda one: part_importance(one, parts, dilation=dilation)[0])(saliency)
    own = jnp.diagonal(of_maps) > jnp.diagonal(of_maps[::-1])
    return jnp.where(jnp.isnan(of_maps).any(), jnp.nan, own.astype(jnp.float32).mean())
