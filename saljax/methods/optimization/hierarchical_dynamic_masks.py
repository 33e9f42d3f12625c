"""Hierarchical dynamic masks: erase what was found, look again, weigh the looks.

From the appendix of "Hierarchical Dynamic Masks for Visual Explanation of Neural Networks" (2023).
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from saljax.core import checks, scores
from saljax.core.ask import ask
from saljax.core.optimize import adam, minimize
from saljax.core.types import Baseline, Image, Saliency, ScoreFn, Target
from saljax.methods.optimization.dynamic_masks import by_maximum, dynamic_masks
from saljax.ops import perturb


class HierarchicalMasks(NamedTuple):
    """What hierarchical dynamic masks are made of.

    Attributes:
        saliency: (*spatial), the weighted mean of the stages.
        stages: (num_stages, *spatial), the dynamic masks of each stage.
        weights: (num_stages,), they sum to 1 and do not increase.
        losses: (num_weight_steps,), of the weights.
    """

    saliency: Saliency
    stages: Float[Array, "stages *spatial"]
    weights: Float[Array, " stages"]
    losses: Float[Array, " num_weight_steps"]


def hierarchical_dynamic_masks(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    num_stages: int = 3,
    num_weight_steps: int = 50,
    weight_learning_rate: float = 0.05,
    literal_weights: bool = False,
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
) -> Saliency | HierarchicalMasks:
    """Erase what dynamic masks found and look again; learn how much each look counts.

    M_i = DM(X_{i-1}),  X_i = (1 - sum_{j<=i} M_j / max) I
    S   = sum_i w_i M_i / sum_i w_i,   w_i = sum_{j>=i} v_j^2
    v   = argmin (f(I) - f(S I))^2 + lambda mean(S)

    The weights do not increase, whatever v is: an earlier region counts as much as a later one or
    more. A map costs num_stages times `dynamic_masks`, and num_weight_steps passes of one image.

    Args:
        score_fn: see `dynamic_masks`.
        image: see `dynamic_masks`.
        target: see `dynamic_masks`.
        num_stages: S, how often regions are found and erased.
        num_weight_steps: steps of Adam for v, which starts at 1.
        weight_learning_rate: of Adam for v.
        literal_weights: w_i = (S - i + 1) v_i^2 as algorithm 2 prints it; they may increase.
        sizes: see `dynamic_masks`.
        auxiliary: see `dynamic_masks`.
        num_steps: see `dynamic_masks`.
        learning_rate: see `dynamic_masks`.
        area_weight: see `dynamic_masks`; also the price of the mean of S.
        threshold: see `dynamic_masks`.
        parameters: see `dynamic_masks`.
        baseline: see `dynamic_masks`; also what erased regions show.
        tolerance: see `dynamic_masks`.
        details: return `HierarchicalMasks`.

    Returns:
        (*spatial) map in [0, 1]; larger is more important.

    Raises:
        ValueError: as `dynamic_masks`; or `num_stages`, `num_weight_steps` or
            `weight_learning_rate` is not above 0.

    Source: the HDM paper, algorithm 2. Its lines 6 and 18 sum M_i and v_i^2 over j; taken literally
    only the newest region would be erased and the inner loop would be a factor, so M_j and v_j^2
    are read. The sum of masks is divided by its maximum before erasing: a min-max of a constant
    mask would erase nothing. Numbers of stages and steps and the learning rate are our choice.
    """
    checks.count(num_stages=num_stages, num_weight_steps=num_weight_steps)
    checks.positive(weight_learning_rate=weight_learning_rate)
    nothing = perturb.baseline_image(image, baseline)

    def look(found, _):
        remaining = perturb.blend(image, 1 - by_maximum(found), nothing)
        masks: Any = dynamic_masks(
            score_fn, remaining, target,
            sizes=sizes, auxiliary=auxiliary, num_steps=num_steps, learning_rate=learning_rate,
            area_weight=area_weight, threshold=threshold, parameters=parameters,
            baseline=nothing, tolerance=tolerance,
        )  # fmt: skip
        return found + masks, masks

    stages = jax.lax.scan(look, jnp.zeros(image.shape[:-1], jnp.float32), length=num_stages)[1]

    def weights_of(v):
        left = jnp.arange(num_stages, 0, -1, dtype=jnp.float32)
        squares = jnp.square(v)
        weights = left * squares if literal_weights else jnp.cumsum(squares[::-1])[::-1]
        return weights / weights.sum()

    def mixed(v):
        return jnp.tensordot(weights_of(v), stages, 1, precision="highest")

    def scored(mask):
        kept = perturb.blend(image, mask, nothing)
        return scores.of_class(ask(score_fn, kept[None]), target)[0]

    whole = scored(jnp.ones(image.shape[:-1], jnp.float32))

    def loss(v, step):
        mask = mixed(v)
        return jnp.square(whole - scored(mask)) + area_weight * mask.mean()

    found = minimize(
        loss,
        jnp.ones(num_stages, jnp.float32),
        optimizer=adam(weight_learning_rate),
        num_steps=num_weight_steps,
        tolerance=tolerance,
    )
    saliency, weights = mixed(found.parameters), weights_of(found.parameters)
    return HierarchicalMasks(saliency, stages, weights, found.losses) if details else saliency
