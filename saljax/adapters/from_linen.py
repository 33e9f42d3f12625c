"""Flax Linen, and the Flax models of transformers, which are made of it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jax.tree_util import Partial

from saljax.core.types import ScoreFn


@dataclasses.dataclass(frozen=True)
class _Apply:
    module: Any
    keywords: tuple[tuple[str, Any], ...]

    def __call__(self, variables, images):
        return self.module.apply(variables, images, **dict(self.keywords))


def from_linen(module: Any, variables: Mapping[str, Any] | None = None, **keywords: Any) -> ScoreFn:
    """Score function of a Flax Linen module and its variables.

    Args:
        module: images (N, *spatial, C) -> scores (N, K). Or one that is bound to its variables; or
            a Flax model of transformers, which has them, and of which
            `saljax.scores.select(..., "logits")` are the scores. Its images are channels last here.
        variables: of `module.init`, or of training: `{"params": ..., "batch_stats": ...}`.
        keywords: of each call, such as `train=False`; whatever `module.apply` takes.

    Returns:
        Score function whose leaves are the variables.

    Raises:
        ValueError: `variables` are missing.
    """
    if variables is None:
        module, variables = _with_variables(module)
    return Partial(_Apply(module, tuple(sorted(keywords.items()))), variables)


def _with_variables(module):
    if getattr(module, "scope", None) is not None:
        return module.unbind()
    if not hasattr(module, "params"):
        raise ValueError(
            f"{type(module).__name__} has no variables: from_linen(module, variables), those of "
            "module.init or of a checkpoint."
        )
    params = module.params
    return module.module, params if "params" in params else {"params": params}
