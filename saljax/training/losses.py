"""What a step of a stage does: which weights of an explainer learn, and from what loss."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from saljax.core.compiled import join_arrays
from saljax.methods.learned.explainer import Stage
from saljax.methods.learned.kinds import in_training
from saljax.models import transfer, weights
from saljax.ops import augment
from saljax.training import ahead, steps


def parted(
    explainer: Any, tensors: Mapping[str, Any], stage: Stage
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part an explainer's weights in those that learn in a stage, and the others.

    Statistics of batch norms do not learn; they move.
    """
    statistics = transfer.statistics(explainer)

    def learns(name):
        parts = (name == part or name.startswith(f"{part}.") for part in stage.learns)
        return name not in statistics and any(parts)

    learning = {name: value for name, value in tensors.items() if learns(name)}
    return learning, {name: value for name, value in tensors.items() if name not in learning}


@functools.cache  # as `of_stage`, so that another run like this one finds its steps compiled
def optimizer(stage: Stage, per_epoch: int) -> optax.GradientTransformation:
    """The optimizer of a stage, for so many steps an epoch."""
    return stage.optimizer(per_epoch)


@functools.cache
def of_stage(
    blank: Any, classifier: Any, stage: Stage, least_area: float, mirror: bool
) -> tuple[steps.Loss, Callable[..., Any]]:
    """The loss of a stage in a step, and as it is of images held out.

    Args:
        blank: shapes of an explainer's weights, and its rest, see `split_arrays`.
        classifier: the rest of the classifier, whose weights are the last argument of both losses.
        stage: the stage.
        least_area: smallest share of an image that is cut out at random; 1 for all of it.
        mirror: swap left and right of half of the images.

    Returns:
        The loss for `steps.run`, whose batches are images and what was kept of their passes; and
        a compiled one of the explainer as it is used, of weights, images, key and classifier.
    """
    blank = join_arrays(*blank)
    layers, side = blank.fit.layers, blank.fit.image_shape[0]

    def in_step(learning, kept, batch, key, arrays):
        (images, parts), score_fn = batch, join_arrays(arrays, classifier)
        of_cut, of_mirror, own = jax.random.split(key, 3)
        if least_area < 1:
            images = augment.random_resized_crop(images, of_cut, side, least_area)
        if mirror:
            images = augment.mirror(images, of_mirror)
        explainer = weights.assign(blank, {**kept, **learning})
        seen = ahead.completed(score_fn, images, layers, parts)
        loss = stage.loss(in_training(explainer), score_fn, images, seen, own)
        return loss, transfer.statistics(explainer)

    @jax.jit
    def held_out(tensors, images, key, arrays):
        score_fn = join_arrays(arrays, classifier)
        seen = ahead.completed(score_fn, images, layers, ())
        return stage.loss(weights.assign(blank, tensors), score_fn, images, seen, key)

    return in_step, held_out
