"""Equinox."""

import dataclasses
import inspect
from collections.abc import Hashable
from typing import Any

import equinox
import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from saljax.core.compiled import join_arrays, split_arrays
from saljax.core.types import ScoreFn


@dataclasses.dataclass(frozen=True)
class _Call:
    """A model without its arrays."""

    rest: Hashable
    channels_first: bool

    def __call__(self, arrays, images):
        model, state, keywords = join_arrays(arrays, self.rest)

        def one(image):
            if state is None:
                return model(image, **keywords)
            return model(image, state, **keywords)[0]

        return jax.vmap(one)(jnp.moveaxis(images, -1, 1) if self.channels_first else images)


def from_equinox(
    model: equinox.Module, state: Any = None, *, channels_first: bool = True, **keywords: Any
) -> ScoreFn:
    """Score function of an Equinox model of one image, in inference mode.

    Args:
        model: image (C, *spatial) -> scores (K,); with `state`, (image, state) -> (scores, state).
            It stays in the mode it is in. Where it takes a `key`, it is given a fixed one, which
            nothing in inference mode should draw from.
        state: of `equinox.nn.make_with_state`, such as the statistics of batch norms.
        channels_first: as Equinox has it; else the model takes (*spatial, C).
        keywords: of each call.

    Returns:
        Score function of images (N, *spatial, C), whose leaves are the arrays of the model.
    """
    model = equinox.nn.inference_mode(model)
    if "key" in inspect.signature(type(model).__call__).parameters:
        keywords = {"key": jax.random.key(0)} | keywords
    arrays, rest = split_arrays((model, state, keywords))
    return Partial(_Call(rest, channels_first), arrays)
