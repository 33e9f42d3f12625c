"""The two games of meaningful perturbation, on masks of an image or of a layer."""

import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from saljax.core import checks, chunks, scores
from saljax.core.optimize import Optimized, adam, minimize
from saljax.core.types import Scores, Target
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


def begin(
    score: Callable[[Float[Array, "masks *spatial"]], Scores],
    spatial: Sequence[int],
    cells: Sequence[int],
    target: Target,
    *,
    top: int | None,
    game: Game,
    init: Literal["circle", "uniform"] | Flat,
    key: Key[Array, ""] | None,
    chunk_size: int,
) -> tuple[Float[Array, "*cells"], Int[Array, "*classes"]]:
    """The mask to start from, and the class or classes whose score is played for.

    Args:
        score: masks (N, *spatial) -> scores (N, K) of what they leave.
        spatial: shape of what is masked.
        cells: shape of the mask that is learned.
        target: class index ().
        top: that many classes that score highest in the whole image, in place of the target.
        game: see `meaningful_perturbation`.
        init: see `meaningful_perturbation`.
        key: of a uniform start; None where there is none.
        chunk_size: discs scored at a time.

    Returns:
        (*cells) in [0, 1], and () or (top,).

    Raises:
        ValueError: a wrong choice, several targets, or fewer than `top` classes.
    """
    checks.one_of(get_args(Game), game=game)
    checks.one_of(("circle", *(["uniform"] if key is not None else []), *get_args(Flat)), init=init)
    scores.one_class(target)
    if init == "circle":
        return _circle(score, spatial, cells, target, top, game, chunk_size)
    whole = None if top is None else score(jnp.ones((1, *spatial), jnp.float32))[0]
    classes = _classes(whole, target, top)
    if init == "uniform" and key is not None:
        return jax.random.uniform(key, cells, jnp.float32), classes
    return jnp.full(cells, {"half": 0.5, "ones": 1.0, "zeros": 0.0}[init], jnp.float32), classes


def _circle(score, spatial, cells, target, top, game, chunk_size):
    deletion = game == "deletion"
    pixel = math.hypot(*spatial) / math.hypot(224, 224)
    center = [(n - 1) / 2 for n in spatial]

    def keep(radius):
        disc = masks.disc(spatial, center, radius, SOFTNESS * pixel)
        return 1 - disc if deletion else disc

    # Radius 0 and infinity are the whole image and nothing of it: one list of passes.
    radii = jnp.asarray([*RADII, math.inf], jnp.float32) * pixel
    answers = chunks.map_over(lambda r: score(jax.vmap(keep)(r)), radii, chunk_size)
    classes = _classes(answers[0 if deletion else -1], target, top)
    totals = scores.of_class(answers, classes).reshape(len(radii), -1).sum(axis=1)
    whole, nothing = (totals[0], totals[-1]) if deletion else (totals[-1], totals[0])
    left = (totals[:-1] - nothing) / (whole - nothing)
    enough = left < 1 - ENOUGH if deletion else left >= ENOUGH
    start = images.resize(keep(radii[jnp.argmax(enough)]), cells, "nearest")
    return jnp.where(enough.any(), jnp.clip(start, 0, 1), 0.0), classes


def _classes(whole, target, top):
    if top is None:
        return jnp.asarray(target)
    if top > whole.shape[-1]:
        raise ValueError(f"`top` must be at most the {whole.shape[-1]} classes; got {top}.")
    return jax.lax.top_k(whole, top)[1]


def play(
    score: Callable[[Float[Array, "*cells"], Int[Array, ""]], Scores],
    start: Float[Array, "*cells"],
    classes: Int[Array, "*classes"],
    *,
    game: Game,
    num_steps: int,
    learning_rate: float,
    l1: float,
    tv: float,
    beta: float,
    isotropic: bool,
    tolerance: float | None,
) -> Optimized:
    """Learn the mask.

    Args:
        score: mask, step () -> scores (1, K) of what it leaves.
        start: of `begin`.
        classes: of `begin`.
        game: see `meaningful_perturbation`.
        num_steps: see `meaningful_perturbation`.
        learning_rate: see `meaningful_perturbation`.
        l1: see `meaningful_perturbation`.
        tv: see `meaningful_perturbation`.
        beta: see `meaningful_perturbation`.
        isotropic: see `meaningful_perturbation`.
        tolerance: see `meaningful_perturbation`.

    Returns:
        The mask (*cells), and the losses.
    """

    def loss(mask, step):
        of_classes = scores.of_class(score(mask, step), classes).sum()
        # A mask is in [0, 1], so its L1 norm is its sum.
        lost, area = (of_classes, 1 - mask) if game == "deletion" else (-of_classes, mask)
        return lost + l1 * area.sum() + tv * total_variation(mask, beta, isotropic=isotropic)

    return minimize(
        loss,
        start,
        optimizer=adam(learning_rate),
        num_steps=num_steps,
        project=lambda mask: jnp.clip(mask, 0, 1),
        tolerance=tolerance,
    )
