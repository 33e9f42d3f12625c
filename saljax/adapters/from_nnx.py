"""Flax NNX."""

import dataclasses
from typing import Any

import jax
from flax import nnx
from jax.tree_util import Partial

from saljax.core.types import ScoreFn


@dataclasses.dataclass(frozen=True)
class _Call:
    keywords: tuple[tuple[str, Any], ...]

    def __call__(self, model, images):
        # Built here, at the level of the trace in which it is called: a transformation of NNX, such
        # as nnx.scan over layers, refuses modules of another level.
        leaves, structure = jax.tree.flatten(model)
        here = jax.tree.unflatten(structure, leaves)
        found = here(images, **dict(self.keywords))
        after = jax.tree.leaves(here)
        if len(after) != len(leaves) or any(x is not y for x, y in zip(leaves, after, strict=True)):
            raise ValueError(
                "the model changes its own state when it is called (it counts, draws at random, or "
                "learns statistics): put it in evaluation mode, or give the keyword that does, as "
                "in saljax.scores.from_nnx(model, train=False)."
            )
        return found


def from_nnx(model: nnx.Module, **keywords: Any) -> ScoreFn:
    """Score function of a Flax NNX model, in evaluation mode whatever mode it is in.

    It is a view: the weights are those of `model`, also when they change later, while its mode and
    state stay as they are. Models that run over their layers with `nnx.scan` work too.

    Args:
        model: images (N, *spatial, C) -> scores (N, K). Layers with `deterministic` or
            `use_running_average` have them True in the view.
        keywords: of each call, such as `train=False` or `rngs=None`.

    Returns:
        Score function. It raises ValueError where the model changes its own state all the same.
    """
    view = nnx.view(model, deterministic=True, use_running_average=True, raise_if_not_found=False)
    return Partial(_Call(tuple(sorted(keywords.items()))), view)
