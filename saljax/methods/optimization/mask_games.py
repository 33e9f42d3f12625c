"""The two games of meaningful perturbation, on masks of an image or of a layer."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from saljax.core import checks, chunks, scores
from saljax.core.optimize import Optimized, adam, minimize
from saljax.core.types import Saliency, Scores, Target
from saljax.ops import images, masks
from saljax.ops.regularizers import total_variation

Game = Literal["deletion", "preservation"]
Flat = Literal["half", "ones", "zeros"]

RADII = range(0, 180, 5)
"""Of the discs that a circular start tries, in pixels of a 224 x 224 image."""
SOFTNESS = 10.0
"""Standard deviation of the blur of their edges, in the same pixels."""
ENOUGH = 0.99
"""Share of the score that the disc must take away, or keep."""


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


class Rules(NamedTuple):
    """How a mask is learned; see `meaningful_perturbation`."""

    game: Game
    num_steps: int
    learning_rate: float
    l1: float
    tv: float
    beta: float
    isotropic: bool
    top: int | None
    init: Literal["circle", "uniform"] | Flat
    initial: Float[Array, "..."] | None
    tolerance: float | None
    chunk_size: int


class Played(NamedTuple):
    """The mask that was learned, and the one it began with."""

    found: Optimized
    start: Float[Array, "*cells"]

    @property
    def mask(self) -> Float[Array, "*cells"]:
        """After the last step."""
        return self.found.parameters


def play(
    score: Callable[[Float[Array, "masks *spatial"]], Scores],
    score_at: Callable[[Float[Array, "*cells"], Int[Array, ""]], Scores],
    spatial: Sequence[int],
    cells: Sequence[int],
    target: Target,
    rules: Rules,
    key: Key[Array, ""] | None = None,
) -> Played:
    """Learn a mask.

    Args:
        score: masks (N, *spatial) -> scores (N, K) of what they leave; where the game begins.
        score_at: mask (*cells), step () -> scores (1, K) of what it leaves; where it is played.
        spatial: shape of what is masked.
        cells: shape of the mask that is learned.
        target: class index ().
        rules: of the game.
        key: of a uniform start; None where there is none.

    Returns:
        A `Played`.

    Raises:
        ValueError: a wrong choice or number, `initial` of another shape, several targets, or fewer
            than `top` classes.
    """
    checks.one_of(get_args(Game), game=rules.game)
    starts = ("circle", *(["uniform"] if key is not None else []), *get_args(Flat))
    checks.one_of(starts, init=rules.init)
    checks.count(num_steps=rules.num_steps, top=rules.top, chunk_size=rules.chunk_size)
    checks.positive(learning_rate=rules.learning_rate, beta=rules.beta)
    checks.not_negative(l1=rules.l1, tv=rules.tv)
    scores.one_class(target)
    if rules.init == "circle" and rules.initial is None:
        start, classes = _circle(score, spatial, cells, target, rules)
    else:
        whole = None if rules.top is None else score(jnp.ones((1, *spatial), jnp.float32))[0]
        classes = _classes(whole, target, rules.top)
        start = _start(spatial, cells, rules, key)

    def loss(mask, step):
        of_classes = scores.of_class(score_at(mask, step), classes).sum()
        # A mask is in [0, 1], so its L1 norm is its sum.
        lost, area = (of_classes, 1 - mask) if rules.game == "deletion" else (-of_classes, mask)
        rough = total_variation(mask, rules.beta, isotropic=rules.isotropic)
        return lost + rules.l1 * area.sum() + rules.tv * rough

    found = minimize(
        loss,
        start,
        optimizer=adam(rules.learning_rate),
        num_steps=rules.num_steps,
        project=lambda mask: jnp.clip(mask, 0, 1),
        tolerance=rules.tolerance,
    )
    return Played(found, start)


def answer(played: Played, kept: Saliency, game: Game, details: bool) -> Any:
    """The map of a mask: what it takes away (deletion) or keeps (preservation).

    Args:
        played: of `play`.
        kept: the mask at the size of the map.
        game: see `meaningful_perturbation`.
        details: return `MeaningfulPerturbation`.

    Returns:
        (*spatial) in [0, 1], or the record.
    """
    saliency = 1 - kept if game == "deletion" else kept
    if not details:
        return saliency
    return MeaningfulPerturbation(saliency, played.mask, played.start, played.found.losses)


def initial_mask(
    given: Float[Array, "..."], spatial: Sequence[int], cells: Sequence[int], several: int = 0
) -> Float[Array, "..."]:
    """A mask to start from, brought to the cells that are learned.

    Args:
        given: (*cells), or (*spatial), which is resized linearly, averaged where it shrinks; or as
            many of them as `several` says, along the first axis.
        spatial: shape of the image.
        cells: shape of the mask that is learned.
        several: masks that are learned together; 0 where it is one.

    Returns:
        (*cells) or (several, *cells), float32, cut to [0, 1].

    Raises:
        ValueError: another shape.
    """
    given, cells, spatial = jnp.asarray(given, jnp.float32), tuple(cells), tuple(spatial)
    allowed = [shape for own in (spatial, cells) for shape in (own, (several, *own))]
    if given.shape not in allowed:
        each = f", alone or {several} of them," if several else ""
        raise ValueError(
            f"`initial` must be a mask of the image's size, {spatial}, or of the size of the mask "
            f"that is learned, {cells}{each} in [0, 1]; got shape {given.shape}."
        )
    if given.shape[-len(cells) :] != cells:
        resized = functools.partial(images.resize, shape=cells)
        given = resized(given) if given.ndim == len(cells) else jax.vmap(resized)(given)
    return jnp.clip(given, 0, 1)


def _start(spatial, cells, rules, key):
    if rules.initial is not None:
        return initial_mask(rules.initial, spatial, cells)
    if rules.init == "uniform" and key is not None:
        return jax.random.uniform(key, cells, jnp.float32)
    return jnp.full(cells, {"half": 0.5, "ones": 1.0, "zeros": 0.0}[rules.init], jnp.float32)


def _circle(score, spatial, cells, target, rules):
    deletion = rules.game == "deletion"
    pixel = math.hypot(*spatial) / math.hypot(224, 224)
    center = [(n - 1) / 2 for n in spatial]

    def keep(radius):
        disc = masks.disc(spatial, center, radius, SOFTNESS * pixel)
        return 1 - disc if deletion else disc

    # Radius 0 and infinity are the whole image and nothing of it: one list of passes.
    radii = jnp.asarray([*RADII, math.inf], jnp.float32) * pixel
    answers = chunks.map_over(lambda r: score(jax.vmap(keep)(r)), radii, rules.chunk_size)
    classes = _classes(answers[0 if deletion else -1], target, rules.top)
    totals = scores.of_class(answers, classes).reshape(len(radii), -1).sum(axis=1)
    whole, nothing = (totals[0], totals[-1]) if deletion else (totals[-1], totals[0])
    left = (totals[:-1] - nothing) / (whole - nothing)
    enough = left < 1 - ENOUGH if deletion else left >= ENOUGH
    start = images.resize(keep(radii[jnp.argmax(enough)]), cells)
    return jnp.where(enough.any(), jnp.clip(start, 0, 1), 0.0), classes


def _classes(whole, target, top):
    if top is None:
        return jnp.asarray(target)
    if top > whole.shape[-1]:
        raise ValueError(f"`top` must be at most the {whole.shape[-1]} classes; got {top}.")
    return jax.lax.top_k(whole, top)[1]
